#include "engine/recipient.h"

#include "engine/leb128.h"

namespace sluice::engine {

bool Recipient::decode(spool::Bytes entry, size_t fields_expected) {
  Leb128Reader reader(entry);
  flags = reader.octet();
  address = reader.octets(reader.integer());
  fields.clear();
  // Each field takes an octet at least: a count that nobody vouches for cannot make us reserve
  // more.
  for (size_t i = 0; i < fields_expected && !reader.failed(); ++i) {
    fields.push_back(reader.octets(reader.integer()));
  }
  return !reader.failed() && reader.at_end();
}

void Recipient::encode(std::string& out) const {
  out.push_back(static_cast<char>(flags));
  put_leb128(out, address.size());
  out += address;
  for (const auto field : fields) {
    put_leb128(out, field.size());
    out += field;
  }
}

}  // namespace sluice::engine
