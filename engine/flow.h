#pragma once

#include <compare>
#include <cstdint>

namespace sluice::engine {

/// What takes turns in a queue (queue::SourceTurns): a campaign, or the letters of a sender, of all
/// segments together.
struct Flow {
  uint16_t number = 0;  // among the senders of letters
  uint16_t weight = 1;

  friend auto operator<=>(const Flow&, const Flow&) = default;
};

}  // namespace sluice::engine
