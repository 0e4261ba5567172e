#pragma once

#include <string>

#include "io/clock.h"

namespace sluice::tools {

/// `2026-11-22 05:27:44`, UTC.
std::string clock_text(io::WallTime time);
/// `4m 12s`, `3h 5m`, `2d 4h`, `0s`: the two largest units of its size, without its sign.
std::string span_text(io::Duration span);
/// `in 4m 12s`, `3h 5m ago`, `now`.
std::string from_now_text(io::WallTime time, io::WallTime now);

}  // namespace sluice::tools
