#include "io/event_loop.h"

#include <algorithm>

#include "io/check.h"

namespace sluice::io {

void EventLoop::add(TurnEnd& hook) {
  CHECK(std::ranges::find(hooks_, &hook) == hooks_.end());
  hooks_.push_back(&hook);
}

void EventLoop::remove(TurnEnd& hook) {
  // Not erased: turn() may be walking the list.
  std::ranges::replace(hooks_, &hook, nullptr);
}

void EventLoop::turn(Instant latest) {
  const Instant until = turn_requested_ ? Instant::min() : std::min(latest, timers_.next());
  turn_requested_ = false;
  proactor_.wait(until, turn_budget);
  timers_.advance(proactor_.now());
  // By index: a hook may add another, which then runs in this turn.
  for (size_t i = 0; i < hooks_.size(); ++i)
    if (hooks_[i]) hooks_[i]->turn_ended();
  std::erase(hooks_, nullptr);
}

void EventLoop::run() {
  while (!stopping_) turn();
  stopping_ = false;
  proactor_.wait(now(), 0);  // what the last turn said to others is still to leave
}

}  // namespace sluice::io
