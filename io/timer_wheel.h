#pragma once

#include <array>
#include <cstdint>

#include "io/clock.h"

namespace sluice::io {

class TimerWheel;

/// A deadline of its owner, linked into a wheel while armed. Destroying an armed timer cancels it.
/// Once cancel() returned the callback will not run; it may arm the timer again from within.
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
  Timer** link_ =
      nullptr;  // what points to this timer: the slot's head or the previous timer's next_
  TimerWheel* wheel_ = nullptr;
  uint64_t tick_ = 0;
  Instant deadline_{};
  void* owner_ = nullptr;
  Callback callback_ = nullptr;
};

/// Hierarchical timing wheel (Varghese and Lauck, scheme 7): 64 slots a level, a tick of 1 ms. arm,
/// re-arm and cancel are O(1); most timers here are cancelled, not fired. A timer fires never early
/// and at most one tick late, as measured by the `now` given to advance(). Deadlines more than 139
/// years after the wheel's start count as 139 years.
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

  /// Fires all timers whose tick is over at `now`, in order of their ticks. Returns their number.
  /// What a callback arms for a tick that is over fires in a later advance(), so that a timer that
  /// arms itself for "now" does not keep the loop.
  unsigned advance(Instant now);

  /// No timer fires before this; `never` when none is armed. May be earlier than the first deadline
  /// (a cascade), never later. O(levels).
  Instant next() const;

  unsigned armed() const { return armed_; }

 private:
  static constexpr unsigned slot_bits = 6, slots = 1u << slot_bits, levels = 7;
  static constexpr uint64_t ticks_max = (uint64_t{1} << (levels * slot_bits)) - 1;

  /// Where the next timer or cascade lies; level == levels when the wheel is empty.
  struct Place {
    unsigned level, slot;
    uint64_t tick;
  };
  Place first() const;
  void place(Timer& timer);
  static void push(Timer*& list, Timer& timer);
  void unlink(Timer& timer);
  void cascade(unsigned level, unsigned slot);
  unsigned fire(Timer*& list);

  uint64_t current_ = 0;  // ticks since base_; all ticks up to and including it are over
  Instant base_;
  unsigned armed_ = 0;
  Timer* overdue_ = nullptr;  // armed for a tick that was over
  /// A timer stands on the lowest level on which its tick and current_ share all higher digits
  /// (base 64), in the slot of its digit there. So the lowest level that holds anything holds the
  /// first timer, and no slot is ever behind current_.
  std::array<Timer*, levels * slots> wheel_{};
  std::array<uint64_t, levels> occupied_{};  // bit per slot
};

}  // namespace sluice::io
