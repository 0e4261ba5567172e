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

namespace {

Decision wait(const DestinationPolicy& policy, const Past& past, uint64_t random) {
  const DestinationPolicy::Retry& retry = policy.retry;
  const bool has_interval = retry.transfer_interval > io::Duration{} && past.transfers > 0;
  const io::Duration delay =
      has_interval ? retry.transfer_interval : retry_delay(retry, past.attempts, random);
  const io::Duration left = past.lifetime - past.age;
  return {.is_last = delay > left, .delay = std::min(delay, left)};
}

}  // namespace

Decision decide(const smtp::Verdict& verdict, const DestinationPolicy& policy,
                InDoubtPolicy in_doubt, const Past& past, uint64_t random) {
  using smtp::Result;
  using spool::OutcomeKind;
  if (verdict.result == Result::success) return {.kind = OutcomeKind::delivered};
  // A host or session that refuses us says nothing about the recipient: another host, or the same
  // one later, may take it.
  const bool about_recipient =
      verdict.scope == smtp::Scope::recipient || verdict.scope == smtp::Scope::message;
  if (verdict.result == Result::permanent && about_recipient) return {.kind = OutcomeKind::failed};
  const bool is_unknown = verdict.result == Result::unknown;
  if (is_unknown && in_doubt == InDoubtPolicy::never)
    return {.kind = OutcomeKind::in_doubt, .in_doubt = true};
  const uint32_t transfers_max = policy.retry.transfer_attempts_max;
  const bool is_exhausted = transfers_max > 0 && past.transfers >= transfers_max;
  Decision decision;
  if (past.age >= past.lifetime)
    decision.kind = OutcomeKind::expired;
  else if (is_exhausted && !is_unknown)
    decision.kind = OutcomeKind::failed;
  else
    decision = wait(policy, past, random);
  decision.in_doubt = is_unknown;
  if (is_unknown && in_doubt == InDoubtPolicy::hold && decision.kind == OutcomeKind::deferred) {
    decision.is_held = true;
    decision.is_last = false;
    decision.delay = past.lifetime - past.age;
  }
  return decision;
}

}  // namespace sluice::engine::queue
