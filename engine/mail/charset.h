#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::engine::mail {

bool is_ascii(std::string_view text);
bool is_utf8(std::string_view text);

/// Does `charset` name UTF-8 or US-ASCII (whose octets are UTF-8 already)? "" does: RFC 2045
/// section 5.2.
bool is_utf8_charset(std::string_view charset);

/// `octets` in the charset of that MIME name, as UTF-8. nullopt when the C library knows no such
/// charset, or the octets are not of it. UTF-8 and US-ASCII are given back unchecked.
std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets);

/// Are two header tokens the same (RFC 5322 section 1.2.2: ASCII letters of either case)?
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string to_lower(std::string_view text);

}  // namespace sluice::engine::mail
