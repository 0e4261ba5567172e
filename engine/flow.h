#pragma once

#include <cstdint>

namespace sluice::engine {

/// What takes turns in a queue (queue::SourceTurns): a campaign, or the letters of a sender, of all
/// segments together.
struct Flow {
  uint16_t number = 0;  // among the senders of letters; 0: of those that came in an earlier run
  uint16_t weight = 1;

  /// As a spool::MailSegment keeps it, where 0 is what it knows of an earlier run.
  uint32_t packed() const { return uint32_t{number} << 16 | (weight - 1u); }
  static Flow unpacked(uint32_t packed) {
    return {.number = static_cast<uint16_t>(packed >> 16),
            .weight = static_cast<uint16_t>((packed & 0xffff) + 1)};
  }
};

}  // namespace sluice::engine
