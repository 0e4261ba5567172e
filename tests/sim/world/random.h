#pragma once

#include <algorithm>
#include <cstdint>

#include "io/clock.h"

namespace sluice::sim {

/// splitmix64: every choice of a simulated world comes from one of these.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  /// In [0, bound); bound > 0.
  uint64_t below(uint64_t bound) { return next() % bound; }
  uint64_t between(uint64_t least, uint64_t most) { return least + below(most - least + 1); }
  io::Duration between(io::Duration least, io::Duration most) {
    return io::Duration(least.count() + static_cast<int64_t>(below(
                                            static_cast<uint64_t>((most - least).count()) + 1)));
  }
  /// Draws only when the outcome is open, so that a fault that is off changes nothing of the rest.
  bool chance(double probability) {
    if (probability <= 0) return false;
    return probability >= 1 || static_cast<double>(next() >> 11) * 0x1p-53 < probability;
  }

 private:
  uint64_t state_;
};

}  // namespace sluice::sim
