#pragma once

#include <cstdint>
#include <string>

#include "io/clock.h"

namespace sluice::engine::report {

/// Writes times as RFC 3339 in UTC with microseconds: `2026-11-22T05:27:44.123456Z`. Keeps what it
/// wrote for the last second: times near each other cost six digits.
class TimeText {
 public:
  void append(std::string& out, io::WallTime time);

 private:
  int64_t second_ = INT64_MIN;
  std::string prefix_;  // "2026-11-22T05:27:44."
};

/// One time.
std::string time_text(io::WallTime time);

}  // namespace sluice::engine::report
