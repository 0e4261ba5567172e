#pragma once

#include <string>

#include "io/clock.h"

namespace sluice::engine::mail {

/// A date-time of RFC 5322 section 3.3, in UTC and whatever the locale:
/// `Sun, 22 Nov 2026 06:05:26 +0000`.
std::string date_text(io::WallTime time);

}  // namespace sluice::engine::mail
