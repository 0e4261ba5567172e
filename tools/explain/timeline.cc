#include "tools/explain/timeline.h"

#include <algorithm>

#include "engine/queue/retry.h"

namespace sluice::tools {

io::Duration lifetime(const engine::DestinationPolicy& policy, engine::Priority priority) {
  switch (priority) {
    case engine::Priority::urgent:     return policy.expire.urgent;
    case engine::Priority::normal:     return policy.expire.normal;
    case engine::Priority::non_urgent: return policy.expire.non_urgent;
  }
  return policy.expire.normal;
}

std::vector<TimelineEvent> timeline(const engine::DestinationPolicy& policy,
                                    engine::Priority priority, io::WallTime accepted_at) {
  using Kind = TimelineEvent::Kind;
  const engine::DestinationPolicy::Retry& retry = policy.retry;
  const io::WallTime expires = accepted_at + lifetime(policy, priority);
  TimelineEvent end{.kind = Kind::expired, .at = expires};
  std::vector<TimelineEvent> out;
  // Nothing is tried that is held; it expires all the same.
  TimelineEvent next{.at = accepted_at, .attempt = 1};
  while (policy.hold == engine::HoldPolicy::no && next.at < expires) {
    if (retry.connect_attempts_max > 0 && next.attempt > retry.connect_attempts_max) {
      end = next;
      end.kind = Kind::exhausted;
      break;
    }
    if (next.attempt > timeline_attempts_max) {
      out.push_back({.kind = Kind::cut, .at = next.at, .attempt = next.attempt});
      break;
    }
    out.push_back(next);
    constexpr uint64_t middle = uint64_t{1} << 63;  // of the jitter
    const bool is_fixed = retry.connect_interval > io::Duration{};
    next.delay =
        is_fixed ? retry.connect_interval : engine::queue::retry_delay(retry, next.attempt, middle);
    if (!is_fixed)
      next.spread += io::Duration(
          static_cast<int64_t>(static_cast<double>(next.delay.count()) * retry.jitter));
    next.at += next.delay;
    ++next.attempt;
  }
  const io::WallTime warned = accepted_at + policy.expire.warn;
  if (policy.expire.warn > io::Duration{} && warned < end.at) {
    const auto place = std::ranges::upper_bound(out, warned, {}, &TimelineEvent::at);
    out.insert(place, {.kind = Kind::notice, .at = warned});
  }
  out.push_back(end);
  return out;
}

}  // namespace sluice::tools
