#pragma once

#include <span>

#include "spool/journal.h"
#include "spool/segment_writer.h"

namespace sluice::spool {

/// No record of a journal is longer, so that a reader's memory is bounded.
inline constexpr size_t outcome_payload_bytes_max = 64 * 1024;
/// What one outcome takes in a record at most.
inline constexpr size_t outcome_bytes_max = 30;

/// Of the next attempt, or of the intent.
inline bool has_time(OutcomeKind kind) {
  return kind == OutcomeKind::deferred || kind == OutcomeKind::waited ||
         kind == OutcomeKind::intent;
}

/// Writes one commit: `outcomes` in as few records as possible (FORMAT.md section 5). Sorts them by
/// campaign and recipient.
void encode_commit(SegmentWriter& writer, uint32_t number, std::span<Outcome> outcomes);

/// Visits the outcomes of a record of a commit. False when it does not read as FORMAT.md says;
/// those before the place were visited.
template <class Visit>
bool visit_outcomes(Bytes payload, Visit&& visit);

}  // namespace sluice::spool

#include "spool/little_endian.h"

namespace sluice::spool {

template <class Visit>
bool visit_outcomes(Bytes payload, Visit&& visit) {
  if (payload.size() < sizeof(uint64_t)) return false;
  Outcome outcome;
  outcome.campaign = load<uint64_t>(payload, 0);
  payload = payload.subspan(sizeof(uint64_t));
  uint64_t recipient = 0;
  while (!payload.empty()) {
    uint64_t tag, attempt, next_ms = 0, refusals = 0, transfers = 0, wait_ms = 0;
    if (!get_leb128(payload, tag) || !get_leb128(payload, attempt) || attempt > UINT16_MAX)
      return false;
    outcome.kind = static_cast<OutcomeKind>(tag & 7);
    const uint64_t step = tag >> 3;
    if (step > UINT32_MAX - recipient) return false;
    recipient += step;
    const bool is_deferred = outcome.kind == OutcomeKind::deferred;
    const bool is_waited = outcome.kind == OutcomeKind::waited;
    if (has_time(outcome.kind) &&
        (!get_leb128(payload, next_ms) || next_ms > INT64_MAX / 1'000'000))
      return false;
    if ((is_deferred || is_waited) && (!get_leb128(payload, refusals) || refusals > UINT16_MAX))
      return false;
    if (is_deferred && (!get_leb128(payload, transfers) || transfers >> 1 > UINT16_MAX))
      return false;
    if (is_waited && (!get_leb128(payload, wait_ms) || wait_ms > next_ms)) return false;
    outcome.recipient = static_cast<uint32_t>(recipient);
    outcome.attempt = static_cast<uint16_t>(attempt);
    outcome.refusals = static_cast<uint16_t>(refusals);
    outcome.transfers = static_cast<uint16_t>(transfers >> 1);
    outcome.was_told = (transfers & 1) != 0;
    outcome.next_attempt = io::WallTime(std::chrono::milliseconds(static_cast<int64_t>(next_ms)));
    outcome.at = io::WallTime(
        std::chrono::milliseconds(static_cast<int64_t>(is_waited ? next_ms - wait_ms : 0)));
    visit(outcome);
  }
  return true;
}

}  // namespace sluice::spool
