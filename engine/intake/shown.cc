#include "engine/intake/shown.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>

namespace sluice::engine::intake {

std::string shown(std::string_view value) {
  constexpr size_t bytes_max = 64;
  const bool is_cut = value.size() > bytes_max;
  if (is_cut) {
    size_t end = bytes_max;
    while (end > bytes_max - 3 && (value[end] & 0xc0) == 0x80) --end;  // not inside a character
    value = value.substr(0, end);
  }
  const bool is_utf8 = simdjson::validate_utf8(value.data(), value.size());
  std::string text = "'";
  for (const char c : value) {
    const auto octet = static_cast<uint8_t>(c);
    if (octet < 0x20 || octet == 0x7f || (octet >= 0x80 && !is_utf8)) {
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", octet);
    } else {
      text.push_back(c);
    }
  }
  text += is_cut ? "...'" : "'";
  return text;
}

}  // namespace sluice::engine::intake
