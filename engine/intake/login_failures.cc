#include "engine/intake/login_failures.h"

#include <netinet/in.h>

#include <algorithm>

namespace sluice::engine::intake {

std::string LoginFailures::key(const io::SocketAddress& client) {
  const auto octets = [](const auto* first, size_t bytes) {
    return std::string(reinterpret_cast<const char*>(first), bytes);
  };
  if (client.family() == AF_INET)
    return octets(&reinterpret_cast<const sockaddr_in*>(client.data())->sin_addr, sizeof(in_addr));
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(client.data())->sin6_addr;
  constexpr size_t v4_at = 12, network_bytes = 8;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return octets(v6.s6_addr + v4_at, sizeof(in_addr));
  return octets(v6.s6_addr, network_bytes);
}

bool LoginFailures::may_try(const io::SocketAddress& client, io::Instant now) const {
  const auto known = known_.find(key(client));
  return known == known_.end() || now >= known->second.until;
}

io::Duration LoginFailures::wrong(const io::SocketAddress& client, io::Instant now) {
  const std::string key = LoginFailures::key(client);
  if (known_.size() == addresses_max && !known_.contains(key)) make_room(now);
  Known& known = known_[key];
  if (now - known.until > forget_after) known.failures = 0;
  io::Duration delay = io::Duration::zero();
  if (known.failures > 0) {
    constexpr uint32_t doublings_max = 10;
    const auto factor = int64_t{1} << std::min(known.failures - 1, doublings_max);
    delay = std::min(delay_first * factor, delay_max);
  }
  ++known.failures;
  known.until = now + delay;
  return delay;
}

void LoginFailures::make_room(io::Instant now) {
  std::erase_if(known_, [now](const auto& k) { return now - k.second.until > forget_after; });
  if (known_.size() < addresses_max) return;
  known_.erase(
      std::ranges::min_element(known_, {}, [](const auto& entry) { return entry.second.until; }));
}

}  // namespace sluice::engine::intake
