#include "spool/waits.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace sluice::spool {

void Waits::add(const Wait& wait) {
  const auto rank = [](const Wait& w) { return std::tuple(w.at, w.attempts, w.next_attempt); };
  if (rank(latest_) < rank(wait)) latest_ = wait;
  note_attempts(wait);
  if (wait.refusals == 0) return;
  const auto place = std::ranges::lower_bound(refused_at_, wait.at);
  if (place == refused_at_.end() || *place != wait.at) refused_at_.insert(place, wait.at);
}

void Waits::note_attempts(const Wait& wait) {
  if (wait.attempts <= attempts_of(wait.recipient)) return;
  auto place = std::ranges::upper_bound(attempts_, wait.recipient, {}, &Attempts::last);
  // Those before it that have no more than this one has say nothing any more.
  auto first = place;
  while (first != attempts_.begin() && std::prev(first)->most <= wait.attempts) --first;
  place = attempts_.erase(first, place);
  attempts_.insert(place, {wait.recipient, wait.attempts});
}

uint16_t Waits::attempts_of(uint32_t recipient) const {
  const auto place = std::ranges::lower_bound(attempts_, recipient, {}, &Attempts::last);
  return place == attempts_.end() ? uint16_t{0} : place->most;
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
