#include "spool/waits.h"

#include <algorithm>
#include <tuple>

namespace sluice::spool {

void Waits::add(const Wait& wait) {
  const auto rank = [](const Wait& w) { return std::tuple(w.at, w.attempts, w.next_attempt); };
  if (rank(latest_) < rank(wait)) latest_ = wait;
  attempts_ = std::max(attempts_, wait.attempts);
  if (wait.refusals == 0) return;
  const auto place = std::ranges::lower_bound(refused_at_, wait.at);
  if (place == refused_at_.end() || *place != wait.at) refused_at_.insert(place, wait.at);
}

Deferral Waits::caught_up(Deferral deferral) const {
  if (deferral.is_intent || is_empty()) return deferral;
  const auto first = std::ranges::lower_bound(refused_at_, deferral.next_attempt);
  const auto missed = static_cast<int64_t>(refused_at_.end() - first);
  const auto plus_missed = [missed](uint16_t count, int64_t most) {
    return static_cast<uint16_t>(std::min(count + missed, most));
  };
  deferral.attempt = plus_missed(deferral.attempt, UINT16_MAX);
  deferral.refusals = plus_missed(deferral.refusals, latest_.refusals);
  deferral.next_attempt = std::max(deferral.next_attempt, latest_.next_attempt);
  return deferral;
}

}  // namespace sluice::spool
