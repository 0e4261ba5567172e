#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "io/proactor.h"
#include "spool/journal.h"

namespace sluice::spool {

/// Looks after segments that nothing writes any more: gives back what was reserved behind their
/// end, closes them, and unlinks each when no campaign it speaks of is live (FORMAT.md
/// section 5.4). Failures are left to the next start, which does it again.
class Reclaimer {
 public:
  Reclaimer(io::Proactor& proactor, std::vector<SealedSegment> sealed);
  Reclaimer(const Reclaimer&) = delete;
  Reclaimer& operator=(const Reclaimer&) = delete;
  /// Waits for what is in flight.
  ~Reclaimer();

  /// Takes over a segment that was just written: truncates it to segment.bytes and closes it.
  void seal(io::File file, SealedSegment segment);
  void campaign_finished(uint64_t uid);

  uint64_t bytes() const { return bytes_; }

 private:
  /// What is to be done to one file, one operation after the other.
  struct Chore;

  void start(std::list<Chore>::iterator chore);
  void unlink_idle();

  io::Proactor& proactor_;
  std::vector<SealedSegment> sealed_;
  uint64_t bytes_ = 0;
  std::list<Chore> chores_;
};

}  // namespace sluice::spool
