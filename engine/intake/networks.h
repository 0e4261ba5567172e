#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/socket_address.h"

namespace sluice::engine::intake {

/// A block of addresses, `192.0.2.0/24` or `2001:db8::/32` (RFC 4632, RFC 4291 section 2.3). One of
/// IPv4 addresses mapped into IPv6 is one of IPv4.
struct Network {
  std::array<uint8_t, 16> address{};  // the first 4 octets are meant with IPv4
  uint8_t bits = 0;
  bool is_v4 = false;

  friend bool operator==(const Network&, const Network&) = default;
};

/// A block, or a single address. The error is the end of a sentence that begins with `text`:
/// `has bits beyond its /8; write 10.0.0.0/8`.
std::expected<Network, std::string> parse_network(std::string_view text);

/// Who may relay without authentication.
class Networks {
 public:
  Networks() = default;  // nobody
  /// `texts` are good for parse_network(): the configuration checked them.
  explicit Networks(std::span<const std::string> texts);

  /// O(blocks): there are few.
  bool contains(const io::SocketAddress& address) const;

 private:
  std::vector<Network> networks_;
};

}  // namespace sluice::engine::intake
