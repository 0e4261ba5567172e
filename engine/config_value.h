#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine {

/// `100/s`, `3000/m`, `5000/h`, `100000/d` as a number a second; above 0. (Durations:
/// parse_duration() in config.h.)
std::optional<double> parse_rate(std::string_view text);

/// In the largest unit that says it whole: `90s`, `2h`, `1d`.
std::string duration_text(io::Duration duration);

/// Letters, digits, hyphens and dots as RFC 1123 section 2.1 has them, at most 253 octets.
bool is_hostname(std::string_view text);

/// `[192.0.2.7]`, `[IPv6:2001:db8::7]` (RFC 5321 section 4.1.3) or, as next hops are written,
/// `[2001:db8::7]`.
bool is_address_literal(std::string_view text);

/// A next hop as written: `relay.example.net`, `relay.example.net:25`, `192.0.2.7:25`,
/// `[192.0.2.7]:2525`, `[2001:db8::7]`.
struct NextHop {
  std::string host;   // without brackets
  uint16_t port = 0;  // 0: none written
};
std::optional<NextHop> parse_next_hop(std::string_view text);

/// `192.0.2.7` or `2001:db8::7`, as an address with port 0.
std::optional<io::SocketAddress> parse_address(std::string_view text);

/// The domain in A-labels and lower case (IDNA 2008), without a final dot. nullopt when it is no
/// domain.
std::optional<std::string> ascii_domain(std::string_view text);

}  // namespace sluice::engine
