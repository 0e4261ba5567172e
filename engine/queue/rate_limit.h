#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "io/clock.h"

namespace sluice::engine::queue {

/// A token bucket: `rate_per_s` messages in the long run, at most those of one second (at least
/// one) at once. Rate 0: no limit.
class RateLimit {
 public:
  explicit RateLimit(double rate_per_s)
      : rate_per_s_(rate_per_s), tokens_(std::max(1.0, rate_per_s)) {}

  /// How many may go now.
  uint32_t allowance(io::Instant now) {
    if (rate_per_s_ <= 0) return UINT32_MAX;
    if (at_ != io::Instant{}) {
      const double seconds = std::chrono::duration<double>(now - at_).count();
      tokens_ = std::min(std::max(1.0, rate_per_s_), tokens_ + seconds * rate_per_s_);
    }
    at_ = now;
    return static_cast<uint32_t>(tokens_);
  }
  void spend(size_t messages) {
    if (rate_per_s_ > 0) tokens_ -= static_cast<double>(messages);
  }
  /// When allowance() is at least 1, and not for every single one of a fast rate.
  io::Instant next(io::Instant now) const {
    if (rate_per_s_ <= 0 || tokens_ >= 1) return now;
    const double seconds = std::max(0.01, (1 - tokens_) / rate_per_s_);
    return now + io::Duration(static_cast<int64_t>(std::ceil(seconds * 1e9)));
  }

 private:
  double rate_per_s_;
  double tokens_;
  io::Instant at_{};
};

}  // namespace sluice::engine::queue
