#include "engine/report/utf8.h"

namespace sluice::engine::report {

Utf8Character read_utf8(std::string_view text) {
  const auto octet = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  if (lead < 0x80) return {lead, 1, true};
  // The least code of each length bars overlong forms; C0, C1 and F5 to FF begin nothing.
  const uint8_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  char32_t code = lead & (0x7fu >> bytes);
  for (uint8_t i = 1; i < bytes; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (octet(i) & 0x3fu);
  }
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  if (code < least[bytes] || code > 0x10ffff || is_surrogate) return {};
  return {code, bytes, true};
}

}  // namespace sluice::engine::report
