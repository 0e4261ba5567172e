#include "engine/intake/client_rates.h"

#include <algorithm>
#include <functional>

namespace sluice::engine::intake {

ClientRates::ClientRates(double messages_per_s) {
  if (messages_per_s <= 0) return;
  constexpr double second_ns = 1e9, minute_s = 60;
  message_ns_ = std::max<int64_t>(1, static_cast<int64_t>(second_ns / messages_per_s));
  const double burst = std::max(burst_min, messages_per_s * minute_s);
  bucket_ns_ = static_cast<int64_t>(burst * static_cast<double>(message_ns_));
  places_ = std::make_unique<std::array<Set, sets>>();
}

ClientRates::Place& ClientRates::place_of(uint64_t client, int64_t now_ns) {
  Set& set = (*places_)[client % sets];
  for (Place& place : set)
    if (place.client.load(std::memory_order_relaxed) == client) return place;
  Place& freest = *std::ranges::min_element(
      set, {}, [](const Place& place) { return place.full_at_ns.load(std::memory_order_relaxed); });
  freest.client.store(client, std::memory_order_relaxed);
  freest.full_at_ns.store(now_ns, std::memory_order_relaxed);
  return freest;
}

io::Duration ClientRates::take(std::string_view client, io::Instant now) {
  if (!places_) return io::Duration::zero();
  const int64_t now_ns = now.time_since_epoch().count();
  Place& place = place_of(std::hash<std::string_view>()(client), now_ns);
  int64_t full_at = place.full_at_ns.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t after = std::max(full_at, now_ns) + message_ns_;
    if (after - now_ns > bucket_ns_) return io::Duration(after - now_ns - bucket_ns_);
    if (place.full_at_ns.compare_exchange_weak(full_at, after, std::memory_order_relaxed))
      return io::Duration::zero();
  }
}

}  // namespace sluice::engine::intake
