#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace sluice::engine::mail {

/// RFC 5322 section 2.1.1, RFC 5321 section 4.5.3.1.6: octets of a line without its CRLF.
inline constexpr size_t wire_line_bytes_max = 998;

/// Octets of the longest line of `text`, whose line ends are CRLF.
inline size_t line_bytes_max(std::string_view text) {
  size_t longest = 0;
  for (size_t end; (end = text.find("\r\n")) != text.npos; text.remove_prefix(end + 2))
    longest = std::max(longest, end);
  return std::max(longest, text.size());
}

}  // namespace sluice::engine::mail
