// The readers of what others wrote: MIME trees, encoded-words, quoted-printable, base64.

#include <cstdint>
#include <string_view>

#include "engine/mail/base64.h"
#include "engine/mail/charset.h"
#include "engine/mail/encoded_word.h"
#include "engine/mail/mime_tree.h"
#include "engine/mail/quoted_printable.h"
#include "engine/mail/source_text.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::mail;

// A tree's pieces, one after the other, are the body they were read from.
size_t bytes_of(const MimePart& part) {
  if (part.parts.empty()) return part.header.body.size();
  size_t bytes = 0;
  CHECK(part.between.size() == part.parts.size() + 1);
  for (const auto text : part.between) bytes += text.size();
  for (const auto& inner : part.parts) {
    bytes += inner.raw.size();
    CHECK(bytes_of(inner) == inner.header.body.size());
  }
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  SourceText source(input, "m.eml");
  auto header = parse_header(source.text(), HeaderPlace::message, source);
  if (!source.has_errors()) {
    const auto part = parse_mime(source.text(), std::move(header), source);
    if (!source.has_errors()) CHECK(bytes_of(part) == part.header.body.size());
  }
  (void)source.take_errors();

  const auto decoded = decode_quoted_printable(source.text());
  CHECK(decoded.text.size() <= source.text().size());
  const auto text = to_crlf(input);
  CHECK(decode_quoted_printable(encode_quoted_printable(text, true)).text == text);
  CHECK(decode_base64(encode_base64_lines(input)) == input);
  (void)decode_base64(input);
  (void)decode_encoded_words(input, true);
  if (is_utf8(input)) {
    std::string out;
    size_t column = 0;
    encode_words(out, column, " ", input, EncodedWordPlace::text);
    CHECK(decode_encoded_words(unfold(out), false) == input);
  }
  return 0;
}
