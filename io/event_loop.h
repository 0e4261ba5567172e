#pragma once

#include <vector>

#include "io/proactor.h"
#include "io/timer_wheel.h"

namespace sluice::io {

/// What runs at the end of a turn, after all callbacks: the place to gather what the turn produced
/// (one group commit, one log write, one flush of the mailboxes) instead of doing it per message.
class TurnEnd {
 public:
  virtual void turn_ended() = 0;

 protected:
  ~TurnEnd() = default;
};

/// One shard's loop: a Proactor, a wheel, and turns of bounded work.
class EventLoop {
 public:
  /// Completions a turn handles at most, so that timers and mailboxes are looked at in time however
  /// busy the sockets are.
  static constexpr unsigned turn_budget = 128;

  explicit EventLoop(Proactor& proactor) : proactor_(proactor), timers_(proactor.now()) {}

  Proactor& proactor() { return proactor_; }
  TimerWheel& timers() { return timers_; }
  Instant now() const { return proactor_.now(); }
  WallTime wall() const { return proactor_.wall(); }

  /// Hooks run in the order they were added; `hook` must outlive the loop or be removed.
  void add(TurnEnd& hook);
  void remove(TurnEnd& hook);

  /// One turn: wait for work, for at most until `latest` (or the next timer; not at all when
  /// request_turn() was called), run callbacks within the budget, fire timers, run the hooks.
  void turn(Instant latest = never);

  /// Turns until stop(). What the last turn submitted, and whom it woke, the kernel has then.
  void run();
  void stop() { stopping_ = true; }

  /// The next turn does not wait: work was left over.
  void request_turn() { turn_requested_ = true; }

 private:
  Proactor& proactor_;
  TimerWheel timers_;
  std::vector<TurnEnd*> hooks_;
  bool stopping_ = false, turn_requested_ = false;
};

}  // namespace sluice::io
