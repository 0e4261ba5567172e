#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "io/clock.h"

namespace sluice::engine::queue {

/// How many sessions a queue may have: one at first and after the hosts refused all, then twice as
/// many as are open with each that opens, up to a maximum. Where one is refused beside open ones it
/// stays at these for a while.
class SessionRamp {
 public:
  explicit SessionRamp(uint32_t sessions_max) : max_(sessions_max) {}

  /// `open`: of all shards, now.
  void opened(uint32_t open, io::Instant now) {
    if (now >= no_growth_until_) allowed_ = std::min(max_, std::max(allowed_, 2 * open));
  }
  void refused(uint32_t open, io::Instant now) {
    allowed_ = std::min(allowed_, std::max(open, 1u));
    if (open > 0) no_growth_until_ = now + growth_pause;
  }

  /// Of the shard `rank` of so many: the first ones get what is left over.
  uint32_t share(uint32_t rank, uint32_t shards) const {
    return allowed_ / shards + (rank < allowed_ % shards ? 1 : 0);
  }

 private:
  static constexpr io::Duration growth_pause = std::chrono::seconds(60);

  const uint32_t max_;
  uint32_t allowed_ = 1;
  io::Instant no_growth_until_{};
};

}  // namespace sluice::engine::queue
