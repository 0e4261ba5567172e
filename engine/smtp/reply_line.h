#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// Octets of a reply line with its CRLF (RFC 5321 section 4.5.3.1.5).
inline constexpr size_t reply_line_bytes_max = 512;

/// Appends `reply`, "CODE text", as one line with CRLF. What it quotes of a peer cannot become
/// another reply: octets that are not printable US-ASCII become '?', and it is cut at
/// reply_line_bytes_max.
void append_reply(std::string& out, std::string_view reply);

}  // namespace sluice::engine::smtp
