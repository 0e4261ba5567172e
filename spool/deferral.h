#pragma once

#include <cstdint>

#include "io/clock.h"

namespace sluice::spool {

/// What the journal knows of one recipient that was tried, or whose sender was told that it waits.
struct Deferral {
  uint32_t recipient = 0;
  uint16_t attempt = 0;
  uint16_t refusals = 0, transfers = 0;  // as in Outcome
  bool was_told = false;                 // likewise
  bool is_intent = false;                // the final dot of this attempt may have left
  io::WallTime next_attempt{};           // of an intent: when it was meant
};

}  // namespace sluice::spool
