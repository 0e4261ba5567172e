#include "tests/sim/storms.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

namespace sluice::sim {

FaultPlan failing_disk() {
  return {.read_error = 0.002,
          .write_error = 0.005,
          .write_no_space = 0.005,
          .datasync_error = 0.01,
          .name_error = 0.005,
          .disk_slow = 0.01};
}

uint64_t run_storms(const StormPlan& plan, const std::function<void(uint64_t seed)>& storm) {
  using Clock = std::chrono::steady_clock;
  if (const char* seed = std::getenv("SLUICE_STORM_SEED")) {
    storm(std::strtoull(seed, nullptr, 10));
    return 1;
  }
  const char* const looks_for = std::getenv("SLUICE_STORM_SECONDS");
  const auto end =
      Clock::now() + (looks_for ? std::chrono::seconds(std::atoi(looks_for)) : plan.lasts);
  const uint64_t first = looks_for ? uint64_t{std::random_device()()} << 16 : 1;
  uint64_t storms = 0;
  const auto run = [&](uint64_t seed) {
    ++storms;
    fmt::print("SLUICE_STORM_SEED={}\n", seed);
    std::fflush(stdout);
    SCOPED_TRACE(fmt::format("SLUICE_STORM_SEED={}", seed));
    storm(seed);
    return !testing::Test::HasFailure();
  };
  for (const uint64_t seed : plan.once_broken)
    if (!run(seed)) return storms;
  for (uint64_t n = 0; Clock::now() < end && (looks_for || n < plan.storms_max); ++n)
    if (!run(first + n)) return storms;
  return storms;
}

}  // namespace sluice::sim
