#include "io/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "io/check.h"

namespace sluice::io {

Timer::~Timer() {
  if (wheel_) wheel_->cancel(*this);
}

TimerWheel::TimerWheel(Instant now) : base_(now) {}

TimerWheel::~TimerWheel() {
  const auto disarm = [](Timer* timer) {
    for (; timer; timer = timer->next_) timer->wheel_ = nullptr;
  };
  disarm(overdue_);
  std::ranges::for_each(wheel_, disarm);
}

void TimerWheel::arm(Timer& timer, Instant deadline) {
  if (timer.wheel_) timer.wheel_->cancel(timer);
  timer.deadline_ = deadline;
  timer.tick_ = 0;
  if (deadline > base_) {
    const auto ticks = static_cast<uint64_t>((deadline - base_ - Duration(1)) / tick) + 1;
    timer.tick_ = std::min(ticks, ticks_max);
  }
  timer.wheel_ = this;
  ++armed_;
  if (timer.tick_ <= current_)
    push(overdue_, timer);
  else
    place(timer);
}

void TimerWheel::cancel(Timer& timer) {
  if (!timer.wheel_) return;
  CHECK(timer.wheel_ == this);
  unlink(timer);
}

unsigned TimerWheel::advance(Instant now) {
  unsigned fired = 0;
  const uint64_t target =
      now > base_ ? std::min(static_cast<uint64_t>((now - base_) / tick), ticks_max) : 0;
  Timer* due = nullptr;
  const auto take = [&due](Timer*& list) {
    due = std::exchange(list, nullptr);
    if (due) due->link_ = &due;
  };
  take(overdue_);
  fired += fire(due);
  for (;;) {
    const Place next = first();
    if (next.level == levels || next.tick > target) break;
    current_ = next.tick;
    if (next.level > 0) {
      cascade(next.level, next.slot);
      continue;
    }
    take(wheel_[next.slot]);
    occupied_[0] &= ~(uint64_t{1} << next.slot);
    fired += fire(due);
  }
  current_ = std::max(current_, target);
  return fired;
}

Instant TimerWheel::next() const {
  if (overdue_) return base_ + static_cast<int64_t>(current_) * tick;
  const Place next = first();
  return next.level == levels ? never : base_ + static_cast<int64_t>(next.tick) * tick;
}

TimerWheel::Place TimerWheel::first() const {
  for (unsigned level = 0; level < levels; ++level) {
    if (!occupied_[level]) continue;
    const unsigned shift = level * slot_bits;
    const auto slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
    const uint64_t above = current_ >> (shift + slot_bits) << (shift + slot_bits);
    return {level, slot, above | uint64_t{slot} << shift};
  }
  return {levels, 0, 0};
}

void TimerWheel::place(Timer& timer) {
  const uint64_t differing =
      (timer.tick_ ^ current_) | 1;  // a cascade may bring a timer of this very tick
  const unsigned level = (63u - static_cast<unsigned>(std::countl_zero(differing))) / slot_bits;
  const unsigned slot = static_cast<unsigned>(timer.tick_ >> (level * slot_bits)) % slots;
  push(wheel_[level * slots + slot], timer);
  occupied_[level] |= uint64_t{1} << slot;
}

void TimerWheel::push(Timer*& list, Timer& timer) {
  timer.next_ = list;
  if (list) list->link_ = &timer.next_;
  list = &timer;
  timer.link_ = &list;
}

void TimerWheel::unlink(Timer& timer) {
  *timer.link_ = timer.next_;
  if (timer.next_) timer.next_->link_ = timer.link_;
  const auto index = static_cast<size_t>(timer.link_ - wheel_.data());
  const bool is_head = !std::less<>{}(timer.link_, wheel_.data()) && index < wheel_.size();
  if (is_head && !timer.next_) occupied_[index / slots] &= ~(uint64_t{1} << index % slots);
  timer.next_ = nullptr;
  timer.link_ = nullptr;
  timer.wheel_ = nullptr;
  --armed_;
}

void TimerWheel::cascade(unsigned level, unsigned slot) {
  Timer* list = std::exchange(wheel_[level * slots + slot], nullptr);
  occupied_[level] &= ~(uint64_t{1} << slot);
  while (list) place(*std::exchange(list, list->next_));
}

unsigned TimerWheel::fire(Timer*& list) {
  unsigned fired = 0;
  while (Timer* timer = list) {
    unlink(*timer);
    timer->callback_(timer->owner_, *timer);
    ++fired;
  }
  return fired;
}

}  // namespace sluice::io
