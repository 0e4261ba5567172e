#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::engine::smtp {

/// Local part, @ and domain at their longest (RFC 5321 section 4.5.3.1.1 and 2); the path limit of
/// 4.5.3.1.3 is shorter, but the peer may be the more liberal one.
inline constexpr size_t address_bytes_max = 64 + 1 + 255;

/// Can `address` stand between < and > of MAIL or RCPT and mean nothing else? No control octets at
/// all, space, < and > only in a quoted local part, quotes closed; octets over 127 only with
/// SMTPUTF8 (RFC 6531). This is against injection: whether it is a good address is for the peer to
/// say. The empty address is refused: the null sender is the caller's to know.
bool is_writable_address(std::string_view address, bool with_utf8);

}  // namespace sluice::engine::smtp
