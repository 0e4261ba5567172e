#include "engine/queue/earlier_run.h"

#include "engine/queue/range_set.h"

namespace sluice::engine::queue {

Returned EarlierRun::returned(MailingPtr mailing, const spool::Deferral& deferral,
                              const spool::Waits& waits, InDoubtPolicy in_doubt, io::Instant now,
                              io::WallTime wall) const {
  const spool::Deferral past = waits.caught_up(deferral);
  const bool is_sent_again =
      in_doubt == InDoubtPolicy::resend ||
      (in_doubt == InDoubtPolicy::hold && standing.is_released(past.recipient, past.next_attempt));
  const bool is_due = past.next_attempt <= wall || contains(standing.retried, past.recipient);
  return {.mailing = std::move(mailing),
          .item = {.number = past.recipient,
                   .attempts = past.attempt,
                   .refusals = past.refusals,
                   .transfers = past.transfers,
                   .was_deferred = true,
                   .was_told = past.was_told},
          .is_doubtful = past.is_intent && !is_sent_again,
          .due = is_due ? now : now + (past.next_attempt - wall)};
}

}  // namespace sluice::engine::queue
