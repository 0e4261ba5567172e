#pragma once

#include <cstdint>
#include <vector>

#include "io/clock.h"
#include "spool/deferral.h"

namespace sluice::spool {

/// What a connection came to, for those of a campaign that waited for one destination: a *waited*
/// of the journal.
struct Wait {
  uint32_t recipient = 0;  // one of those who go there
  uint16_t attempts = 0;   // of those of whom nothing else is known
  uint16_t refusals = 0;   // connections in a row that came to nothing; 0: this one was taken
  io::WallTime at{}, next_attempt{};
};

/// What the journal says of all connections to one destination while recipients of one campaign
/// waited for it, and what that comes to for each of them (FORMAT.md section 5.2).
class Waits {
 public:
  /// In any order; one that is known changes nothing.
  void add(const Wait& wait);

  bool is_empty() const { return refused_at_.empty() && latest_.at == io::WallTime{}; }
  /// Made for those of whom nothing else is known.
  uint16_t attempts() const { return attempts_; }
  /// Connections in a row that came to nothing, up to the latest.
  uint16_t refusals() const { return latest_.refusals; }
  io::WallTime at() const { return latest_.at; }
  io::WallTime next_attempt() const { return latest_.next_attempt; }
  /// One of the recipients.
  uint32_t recipient() const { return latest_.recipient; }

  /// `deferral` with what its recipient has waited for since its time came.
  Deferral caught_up(Deferral deferral) const;

 private:
  std::vector<io::WallTime> refused_at_;  // ascending, each once
  uint16_t attempts_ = 0;
  Wait latest_;
};

}  // namespace sluice::spool
