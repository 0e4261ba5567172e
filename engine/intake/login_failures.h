#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine::intake {

/// Who came with wrong passwords lately, by address (of IPv6: by its /64, which is one customer's):
/// the second wrong one in a row is answered after a second, each further one after twice as long.
/// Until then no other password from there is looked at, so that many sessions guess no faster than
/// one. A right one, or forget_after without a wrong one, and all is forgotten.
class LoginFailures {
 public:
  static constexpr io::Duration delay_first = std::chrono::seconds(1);
  static constexpr io::Duration delay_max = std::chrono::seconds(30);
  static constexpr io::Duration forget_after = std::chrono::minutes(15);
  /// Addresses that are remembered; then the one whose delay ended first gives way.
  static constexpr size_t addresses_max = 4096;

  /// Is a password from there to be looked at?
  bool may_try(const io::SocketAddress& client, io::Instant now) const;
  /// It was wrong: how long the answer is to wait.
  io::Duration wrong(const io::SocketAddress& client, io::Instant now);
  void right(const io::SocketAddress& client) { known_.erase(key(client)); }

  size_t size() const { return known_.size(); }

  /// What stands for a client: its address without the port, or the first 64 bits.
  static std::string key(const io::SocketAddress& client);

 private:
  struct Known {
    uint32_t failures = 0;
    io::Instant until{};  // when the delay ends
  };
  void make_room(io::Instant now);

  std::map<std::string, Known> known_;
};

}  // namespace sluice::engine::intake
