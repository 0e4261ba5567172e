#pragma once

#include <cstdint>

#include "engine/config.h"
#include "engine/smtp/verdict.h"
#include "io/clock.h"
#include "spool/journal.h"

namespace sluice::engine::queue {

/// Delay before attempt number `attempts_made` + 1: first * factor^(attempts_made - 1), at most
/// `ceiling`, or what the schedule says, whose last entry repeats; spread evenly over +-jitter as a
/// share of it so that no cohort returns together. `random`: 64 random bits. `attempts_made` >= 1.
io::Duration retry_delay(const DestinationPolicy::Retry& retry, uint32_t attempts_made,
                         uint64_t random);

/// A recipient's past when an attempt of its own ended; this attempt counts.
struct Past {
  uint32_t attempts = 1;
  uint32_t transfers = 0;  // those that failed on an open session
  io::Duration age{};      // since acceptance
  io::Duration lifetime{};
};

/// What an attempt's verdict means for its recipient.
struct Decision {
  spool::OutcomeKind kind = spool::OutcomeKind::deferred;
  bool in_doubt = false;    // whether it arrived is unknown
  bool is_relayed = false;  // delivered: to a server that tells nobody what becomes of it
  bool is_held = false;     // deferred: until somebody releases it
  bool is_last = false;     // deferred: expiry comes before another attempt
  io::Duration delay{};     // deferred: until the next attempt, or expiry
};

/// The one place where a verdict becomes a fate or another try.
Decision decide(const smtp::Verdict& verdict, const DestinationPolicy& policy,
                InDoubtPolicy in_doubt, const Past& past, uint64_t random);

}  // namespace sluice::engine::queue
