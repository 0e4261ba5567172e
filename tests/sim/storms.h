#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>

#include "tests/sim/world/faults.h"

namespace sluice::sim {

/// Storms are the same everywhere, so that a change is judged by itself: those that once broke a
/// law, then seeds 1 to `storms_max`, for as many as `lasts` leaves time for. SLUICE_STORM_SECONDS:
/// new ones for so long, from a random seed on. SLUICE_STORM_SEED: that one. Each says its seed
/// before it begins, so that one that hangs or crashes has a name.
struct StormPlan {
  std::span<const uint64_t> once_broken;
  uint64_t storms_max;
  std::chrono::seconds lasts;
};
/// The disk's part of most storms.
FaultPlan failing_disk();
/// How many there were. Ends at the first that fails.
uint64_t run_storms(const StormPlan& plan, const std::function<void(uint64_t seed)>& storm);

}  // namespace sluice::sim
