#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::engine::report {

/// A character read from the front of octets that may be anything.
struct Utf8Character {
  char32_t code = 0;
  uint8_t bytes = 1;      // 1 to 4
  bool is_valid = false;  // false: the first octet begins no character (RFC 3629)
};

/// `text` is not empty.
Utf8Character read_utf8(std::string_view text);

/// C0, DEL and C1: what moves a terminal's cursor or worse.
constexpr bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

}  // namespace sluice::engine::report
