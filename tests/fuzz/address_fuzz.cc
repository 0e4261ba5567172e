// Whatever is taken for an address is safe in an SMTP command, and its normal form is its own
// normal form.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/intake/address.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::intake::normalise_address;
  std::string out, again;
  const auto parts = normalise_address({reinterpret_cast<const char*>(data), size}, out);
  if (!parts) {
    CHECK(!parts.error().empty());
    return 0;
  }
  CHECK(out.size() <= sluice::engine::intake::address_bytes_max && out[parts->local_bytes] == '@');
  bool in_quotes = false, has_8bit = false;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    CHECK(c >= 0x20 && c != 0x7f);
    has_8bit |= c > 0x7f;
    CHECK(c < 0x80 || i < parts->local_bytes);
    if (c == '\\' && in_quotes) {
      ++i;
      continue;
    }
    if (c == '"') in_quotes = !in_quotes;
    CHECK(in_quotes || (c != ' ' && c != '<' && c != '>' && (c != '@' || i == parts->local_bytes)));
  }
  CHECK(!in_quotes && has_8bit == parts->needs_smtputf8);
  const auto same = normalise_address(out, again);
  CHECK(same && again == out && same->local_bytes == parts->local_bytes);
  return 0;
}
