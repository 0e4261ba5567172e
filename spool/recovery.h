#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/proactor.h"
#include "spool/deferrals.h"
#include "spool/error.h"
#include "spool/journal.h"
#include "spool/recovery_file.h"
#include "spool/waits.h"

namespace sluice::spool {

/// What the journal knows of one campaign. Outcomes merge in any order: a fate beats a deferral, a
/// later attempt an earlier one; so segments of several shards need no order among each other.
struct Progress {
  std::vector<uint64_t>
      fates;  // bit per recipient that has a fate; may be shorter than the campaign
  Deferrals deferred;
  std::vector<Wait> waits;  // as they were read: in any order, some perhaps twice
  uint64_t delivered = 0, failed = 0, expired = 0, cancelled = 0, in_doubt = 0;

  uint64_t fates_known() const { return delivered + failed + expired + cancelled + in_doubt; }

  bool has_fate(uint32_t recipient) const {
    return recipient / 64 < fates.size() && (fates[recipient / 64] >> (recipient % 64) & 1);
  }
  /// Bit per recipient that has a fate or a deferral; may be shorter than the campaign.
  std::vector<uint64_t> tried() const;
  void apply(const Outcome& outcome);

 private:
  void defer(const Outcome& outcome);
};

struct Recovered {
  std::unordered_map<uint64_t, Progress> campaigns;  // by uid
  std::vector<SealedSegment> segments;
  std::vector<Damage> damages;
  uint64_t next_sequence = 1;
  uint64_t torn_bytes = 0;  // cut off tails: written, never acknowledged
  uint64_t records = 0;
};

/// Reads every journal segment of `spool`, cuts torn tails, passes over damage in the middle and
/// reports it. On return what it found is durable. Running it again changes nothing. `read_only`
/// neither cuts nor writes (a look at a spool that another process may own). Blocking. Time: that
/// of reading the journal once, and of syncing the last commit of each segment.
std::expected<Recovered, Error> recover_journal(io::Proactor& proactor, const std::string& spool,
                                                bool read_only = false);

}  // namespace sluice::spool
