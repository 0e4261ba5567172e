#pragma once

#include <chrono>
#include <cstdint>

namespace sluice::io {

/// The monotonic clock that deadlines are measured on. It has no `now()`: the event loop reads time
/// once a turn through its Proactor and hands it down, so that a simulated world can own it.
struct Monotonic {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic>;
  static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using Instant = Monotonic::time_point;

/// UTC since 1970; may jump. Only for what people read and for times that must survive a restart.
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

inline constexpr Instant never = Instant::max();

}  // namespace sluice::io
