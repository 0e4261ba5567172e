#pragma once

#include <array>
#include <cstdint>

#include "io/clock.h"

namespace sluice::io {

class TimerWheel;

/// A deadline of its owner, linked into a wheel while armed. Destroying an armed timer cancels it. Once cancel() returned the callback will
/// not run; it may arm the timer again from within.
class Timer {
 public:
  using Callback = void (*)(void* owner, Timer& timer);
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  /// Calls `(owner->*Method)()` on expiry.
  template <auto Method, class Owner>
  void bind(Owner* owner) {
    owner_ = owner;
    callback_ = [](void* o, Timer&) { (static_cast<Owner*>(o)->*Method)(); };
  }

  bool is_armed() const { return wheel_ != nullptr; }
  Instant deadline() const { return deadline_; }

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this timer: the slot's head or the previous timer's next_
  TimerWheel* wheel_ = nullptr;
  uint64_t tick_ = 0;
  Instant deadline_{};
  void* owner_ = nullptr;
  Callback callback_ = nullptr;
};

/// Hierarchical timing wheel (Varghese and Lauck, scheme 7): 64 slots a level, a tick of 1 ms. arm, re-arm and cancel are O(1); most timers
/// here are cancelled, not fired. A timer fires never early and at most one tick late, as measured by the `now` given to advance().
class TimerWheel {
 public:
  static constexpr Duration tick = std::chrono::milliseconds(1);

  explicit TimerWheel(Instant now);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  /// Arms or re-arms `timer`; a deadline in the past fires at the next advance().
  void arm(Timer& timer, Instant deadline);
  void cancel(Timer& timer);

  /// Fires all timers whose deadline is <= now, in order of their ticks. Returns their number.
  unsigned advance(Instant now);

  /// No timer fires before this; `never` when none is armed. May be earlier than the first deadline (a cascade), never later. O(levels).
  Instant next() const;

  unsigned armed() const { return armed_; }

 private:
  static constexpr unsigned slot_bits = 6, slots = 1u << slot_bits, levels = 7;
  void place(Timer& timer);
  void unlink(Timer& timer);

  uint64_t current_ = 0;  // ticks since base_
  Instant base_;
  unsigned armed_ = 0;
  std::array<std::array<Timer*, slots>, levels> wheel_{};
  std::array<uint64_t, levels> occupied_{};  // bit per slot
};

}  // namespace sluice::io
