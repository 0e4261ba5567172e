#include "spool/outcome_record.h"

#include <algorithm>
#include <tuple>

#include "io/check.h"

namespace sluice::spool {
namespace {

RecordType type_of(bool is_first, bool is_last) {
  if (is_first) return is_last ? RecordType::commit_full : RecordType::commit_first;
  return is_last ? RecordType::commit_last : RecordType::commit_middle;
}

uint64_t since_1970_ms(io::WallTime time) {
  const auto since_1970 = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  return static_cast<uint64_t>(std::max<int64_t>(since_1970.count(), 0));
}

void put_outcome(SegmentWriter& writer, const Outcome& outcome, uint32_t step) {
  writer.put_number(uint64_t{step} << 3 | static_cast<uint64_t>(outcome.kind));
  writer.put_number(outcome.attempt);
  if (!has_time(outcome.kind)) return;
  const uint64_t next_ms = since_1970_ms(outcome.next_attempt);
  writer.put_number(next_ms);
  if (outcome.kind == OutcomeKind::intent) return;
  writer.put_number(outcome.refusals);
  if (outcome.kind == OutcomeKind::deferred)
    writer.put_number(uint64_t{outcome.transfers} << 1 | outcome.was_told);
  else
    writer.put_number(next_ms - std::min(next_ms, since_1970_ms(outcome.at)));
}

}  // namespace

void encode_commit(SegmentWriter& writer, uint32_t number, std::span<Outcome> outcomes) {
  CHECK(!outcomes.empty());
  std::ranges::sort(outcomes, {}, [](const Outcome& o) {
    return std::tuple(o.campaign, o.recipient, o.attempt);
  });
  for (size_t i = 0; i < outcomes.size();) {
    const bool is_first = i == 0;
    const uint64_t campaign = outcomes[i].campaign;
    writer.begin_record();
    writer.put_fixed(campaign);
    uint32_t recipient = 0;
    for (; i < outcomes.size() && outcomes[i].campaign == campaign &&
           writer.payload_bytes() + outcome_bytes_max <= outcome_payload_bytes_max;
         ++i) {
      put_outcome(writer, outcomes[i], outcomes[i].recipient - recipient);
      recipient = outcomes[i].recipient;
    }
    writer.end_record(type_of(is_first, i == outcomes.size()), number);
  }
}

}  // namespace sluice::spool
