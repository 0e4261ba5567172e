#pragma once

#include <cstdint>

#include "engine/config.h"
#include "engine/smtp/verdict.h"
#include "io/clock.h"
#include "spool/journal.h"

namespace sluice::engine::queue {

/// Delay before attempt number `attempts_made` + 1: first * factor^(attempts_made - 1), at most
/// `ceiling`, spread evenly over +-jitter as a share of it so that no cohort returns together.
/// `random`: 64 random bits. `attempts_made` >= 1.
io::Duration retry_delay(const DestinationPolicy::Retry& retry, uint32_t attempts_made,
                         uint64_t random);

/// What an attempt's verdict means for its recipient.
struct Decision {
  spool::OutcomeKind kind = spool::OutcomeKind::deferred;
  bool in_doubt = false;  // deferred because the outcome is unknown
  io::Duration delay{};   // deferred only
};

/// The one place where a verdict becomes a fate or another try. `age` is the time since the
/// campaign was accepted, `attempts_made` counts this one. A next attempt that would come after
/// expiry does not come: the recipient has expired.
Decision decide(const smtp::Verdict& verdict, const DestinationPolicy& policy,
                uint32_t attempts_made, io::Duration age, uint64_t random);

}  // namespace sluice::engine::queue
