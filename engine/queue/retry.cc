#include "engine/queue/retry.h"

#include <algorithm>
#include <cmath>

#include "io/check.h"

namespace sluice::engine::queue {

namespace {

io::Duration base_delay(const DestinationPolicy::Retry& retry, uint32_t attempts_made) {
  if (!retry.schedule.empty())
    return retry.schedule[std::min<size_t>(attempts_made, retry.schedule.size()) - 1];
  const double ceiling_ns = static_cast<double>(retry.ceiling.count());
  const double curve_ns =
      static_cast<double>(retry.first.count()) * std::pow(retry.factor, attempts_made - 1);
  return io::Duration(static_cast<int64_t>(std::min(curve_ns, ceiling_ns)));
}

}  // namespace

io::Duration retry_delay(const DestinationPolicy::Retry& retry, uint32_t attempts_made,
                         uint64_t random) {
  CHECK(attempts_made >= 1);
  const double base_ns = static_cast<double>(base_delay(retry, attempts_made).count());
  const double share = static_cast<double>(random >> 11) * 0x1p-53;  // [0, 1)
  return io::Duration(static_cast<int64_t>(base_ns * (1 + retry.jitter * (2 * share - 1))));
}

Decision decide(const smtp::Verdict& verdict, const DestinationPolicy& policy,
                uint32_t attempts_made, io::Duration age, uint64_t random) {
  using smtp::Result;
  if (verdict.result == Result::success) return {.kind = spool::OutcomeKind::delivered};
  // A host or session that refuses us says nothing about the recipient: another host, or the same
  // one later, may take it.
  const bool about_recipient =
      verdict.scope == smtp::Scope::recipient || verdict.scope == smtp::Scope::message;
  if (verdict.result == Result::permanent && about_recipient)
    return {.kind = spool::OutcomeKind::failed};
  const io::Duration delay = retry_delay(policy.retry, attempts_made, random);
  if (age + delay > policy.expire.normal) return {.kind = spool::OutcomeKind::expired};
  return {.kind = spool::OutcomeKind::deferred,
          .in_doubt = verdict.result == Result::unknown,
          .delay = delay};
}

}  // namespace sluice::engine::queue
