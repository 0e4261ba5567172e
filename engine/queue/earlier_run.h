#pragma once

#include "engine/message.h"
#include "engine/queue/rule.h"
#include "spool/deferrals.h"
#include "spool/waits.h"

namespace sluice::engine::queue {

/// What earlier runs, and operators meanwhile, left of a campaign's recipients that were tried. The
/// homes of its routes share it; it goes when each has taken in its part.
struct EarlierRun {
  spool::Deferrals deferrals;
  Standing standing;

  /// One of `deferrals` as it comes back to its queue. `waits`: of its route.
  Returned returned(MailingPtr mailing, const spool::Deferral& deferral, const spool::Waits& waits,
                    InDoubtPolicy in_doubt, io::Instant now, io::WallTime wall) const;
};

}  // namespace sluice::engine::queue
