#include "engine/letter.h"

#include "engine/leb128.h"

namespace sluice::engine {

bool LetterEnvelope::decode(spool::Bytes bytes) {
  Leb128Reader reader(bytes);
  if (reader.integer(version) == 0) return false;
  needs = static_cast<uint8_t>(reader.integer(UINT8_MAX));
  returned = static_cast<smtp::ReturnedContent>(
      reader.integer(static_cast<uint64_t>(smtp::ReturnedContent::full)));
  for (std::string_view* text : {&sender, &envelope_id, &message_id})
    *text = reader.octets(reader.integer());
  return !reader.failed() && reader.at_end();
}

void LetterEnvelope::encode(std::string& out) const {
  put_leb128(out, version);
  put_leb128(out, needs);
  put_leb128(out, static_cast<uint8_t>(returned));
  for (const std::string_view text : {sender, envelope_id, message_id}) {
    put_leb128(out, text.size());
    out += text;
  }
}

const mail::Template& Letter::form() {
  static const mail::Template form = mail::Template::of_letters();
  return form;
}

}  // namespace sluice::engine
