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
  uint16_t attempts() const { return attempts_.empty() ? uint16_t{0} : attempts_.front().most; }
  /// Likewise for one of a mail segment, where recipients join while others wait: a wait speaks of
  /// those numbered up to the one it names. O(log waits).
  uint16_t attempts_of(uint32_t recipient) const;
  /// Connections in a row that came to nothing, up to the latest.
  uint16_t refusals() const { return latest_.refusals; }
  io::WallTime at() const { return latest_.at; }
  io::WallTime next_attempt() const { return latest_.next_attempt; }
  /// One of the recipients.
  uint32_t recipient() const { return latest_.recipient; }

  /// `deferral` with what its recipient has waited for since its time came.
  Deferral caught_up(Deferral deferral) const;

 private:
  void note_attempts(const Wait& wait);
  struct Attempts {
    uint32_t last = 0;  // of those who have them at least
    uint16_t most = 0;
  };

  std::vector<io::WallTime> refused_at_;  // ascending, each once
  std::vector<Attempts> attempts_;        // `last` ascends, `most` descends
  Wait latest_;
};

}  // namespace sluice::spool
