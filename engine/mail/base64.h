#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::mail {

/// RFC 4648 section 4, without line breaks.
void append_base64(std::string& out, std::string_view octets);
constexpr size_t base64_bytes(size_t octets) { return (octets + 2) / 3 * 4; }

/// RFC 2045 section 6.8: lines of 76, each ended by CRLF.
std::string encode_base64_lines(std::string_view octets);

/// Decodes leniently (RFC 2045 section 6.8): octets that are no code are skipped, padding ends a
/// group.
std::string decode_base64(std::string_view code);

}  // namespace sluice::engine::mail
