#include "io/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

constexpr Instant start{123'456'789ns};

struct Alarm {
  Alarm() { timer.bind<&Alarm::fired>(this); }
  void fired() { ++times; }
  Timer timer;
  int times = 0;
};

TEST(TimerWheel, fires_never_early_and_at_most_a_tick_late) {
  for (const Duration delay :
       {1ns, 1ms - 1ns, 1ms + 0ns, 1ms + 1ns, 63ms + 0ns, 64ms + 0ns, 65ms + 0ns, 4096ms + 0ns,
        4097ms + 5ns, Duration(1h), Duration(30 * 24h)}) {
    TimerWheel wheel(start);
    Alarm alarm;
    wheel.arm(alarm.timer, start + delay);
    EXPECT_EQ(wheel.advance(start + delay - 1ns), 0u) << delay.count();
    EXPECT_EQ(wheel.advance(start + delay + 1ms), 1u) << delay.count();
    EXPECT_EQ(alarm.times, 1);
  }
}

TEST(TimerWheel, a_deadline_in_the_past_fires_at_the_next_advance) {
  TimerWheel wheel(start);
  wheel.advance(start + 10s);
  Alarm alarm;
  wheel.arm(alarm.timer, start + 1s);
  EXPECT_LE(wheel.next(), start + 10s);
  EXPECT_EQ(wheel.advance(start + 10s), 1u);
  wheel.arm(alarm.timer, start - 1h);
  EXPECT_EQ(wheel.advance(start + 10s), 1u);
  wheel.arm(alarm.timer, Instant::min());
  EXPECT_EQ(wheel.advance(start + 10s), 1u);
}

TEST(TimerWheel, never_does_not_fire) {
  TimerWheel wheel(start);
  Alarm alarm;
  EXPECT_EQ(wheel.next(), never);
  wheel.arm(alarm.timer, never);
  EXPECT_EQ(wheel.advance(start + 100 * 365 * 24h), 0u);
  EXPECT_TRUE(alarm.timer.is_armed());
}

TEST(TimerWheel, arming_again_moves_the_deadline) {
  TimerWheel wheel(start);
  Alarm alarm;
  wheel.arm(alarm.timer, start + 1s);
  wheel.arm(alarm.timer, start + 1h);
  EXPECT_EQ(wheel.armed(), 1u);
  EXPECT_EQ(wheel.advance(start + 59min), 0u);
  wheel.arm(alarm.timer, start + 59min + 1s);
  EXPECT_EQ(wheel.advance(start + 59min + 2s), 1u);
  EXPECT_EQ(wheel.advance(start + 2h), 0u);
}

TEST(TimerWheel, a_timer_that_arms_itself_for_now_does_not_keep_advance) {
  TimerWheel wheel(start);
  struct Eager {
    void fired() { ++times, wheel.arm(timer, start); }
    TimerWheel& wheel;
    Timer timer{};
    int times = 0;
  } eager{wheel};
  eager.timer.bind<&Eager::fired>(&eager);
  wheel.arm(eager.timer, start);
  EXPECT_EQ(wheel.advance(start + 1s), 1u);
  EXPECT_EQ(wheel.advance(start + 1s), 1u);
}

TEST(TimerWheel, destroying_an_armed_timer_cancels_it) {
  TimerWheel wheel(start);
  {
    Alarm alarm;
    wheel.arm(alarm.timer, start + 5ms);
  }
  EXPECT_EQ(wheel.armed(), 0u);
  EXPECT_EQ(wheel.next(), never);
  EXPECT_EQ(wheel.advance(start + 1s), 0u);
}

TEST(TimerWheel, timers_may_outlive_the_wheel) {
  Alarm near, far, late;
  {
    TimerWheel wheel(start);
    wheel.arm(near.timer, start + 5ms);
    wheel.arm(far.timer, start + 5h);
    wheel.arm(late.timer, start - 1s);
  }
  EXPECT_FALSE(near.timer.is_armed() || far.timer.is_armed() || late.timer.is_armed());
}

/// The wheel against a set of ticks. Everything that can be done is done between advances and from
/// within callbacks.
class Script {
 public:
  explicit Script(uint32_t seed) : random_(seed) {
    for (size_t i = 0; i < entries_.size(); ++i) renew(i);
  }

  void run() {
    for (int step = 0; step < 3000 && !testing::Test::HasFailure(); ++step) {
      for (auto n = random_() % 4; n > 0; --n) act();
      check_next();
      advance();
    }
  }

 private:
  struct Entry {
    explicit Entry(Script& s, size_t i) : script(s), index(i) { timer.bind<&Entry::fired>(this); }
    void fired() { script.fired(index); }
    Script& script;
    size_t index;
    Timer timer;
  };

  uint64_t pick(uint64_t bound) {
    return std::uniform_int_distribution<uint64_t>(0, bound)(random_);
  }
  void renew(size_t index) { entries_[index] = std::make_unique<Entry>(*this, index); }

  Duration some_time() {
    static constexpr uint64_t scales[] = {2,
                                          900'000,
                                          3'000'000,
                                          70'000'000,
                                          5'000'000'000,
                                          40'000'000'000'000,
                                          5'000'000'000'000'000'000};
    return Duration(static_cast<int64_t>(pick(scales[pick(std::size(scales) - 1)])));
  }

  static uint64_t tick_of(Instant deadline) {
    if (deadline <= start) return 0;
    const auto late = static_cast<uint64_t>((deadline - start).count());
    return std::min((late - 1) / 1'000'000 + 1, (uint64_t{1} << 42) - 1);
  }

  void arm(size_t index) {
    Instant deadline = now_;
    if (pick(9) == 0)
      deadline -= std::min(some_time(), now_ - Instant{});
    else if (const Duration time = some_time(); never - now_ > time)
      deadline += time;
    else
      deadline = never;
    wheel_.arm(entries_[index]->timer, deadline);
    forget(index);
    const uint64_t tick = tick_of(deadline);
    if (tick <= current_)
      overdue_.insert(index);
    else
      pending_.emplace(tick, index);
  }

  void forget(size_t index) {
    overdue_.erase(index);
    due_.erase(index);
    std::erase_if(pending_, [&](const auto& entry) { return entry.second == index; });
  }

  void act() {
    const size_t index = pick(entries_.size() - 1);
    switch (pick(4)) {
      case 0:
        wheel_.cancel(entries_[index]->timer);
        forget(index);
        break;
      case 1:
        if (index == firing_) break;
        renew(index);
        forget(index);
        break;
      default: arm(index);
    }
    const size_t armed = overdue_.size() + due_.size() + pending_.size();
    ASSERT_EQ(wheel_.armed(), armed);
    ASSERT_EQ(entries_[index]->timer.is_armed(),
              overdue_.contains(index) || due_.contains(index) ||
                  std::ranges::any_of(pending_, [&](auto& e) { return e.second == index; }));
  }

  void fired(size_t index) {
    ASSERT_FALSE(entries_[index]->timer.is_armed());
    if (!due_.empty()) {
      ASSERT_EQ(due_.erase(index), 1u);
    } else {
      ASSERT_FALSE(pending_.empty());
      current_ = pending_.begin()->first;
      ASSERT_LE(current_, target_);
      const auto [first, last] = pending_.equal_range(current_);
      const auto found = std::find_if(first, last, [&](auto& e) { return e.second == index; });
      ASSERT_NE(found, last) << "fired out of order";
      pending_.erase(found);
    }
    firing_ = index;
    for (auto n = pick(2); n > 0; --n) act();
    firing_ = SIZE_MAX;
  }

  void check_next() {
    const Instant next = wheel_.next();
    if (!overdue_.empty()) {
      ASSERT_LE(next, now_);
    } else if (pending_.empty()) {
      ASSERT_EQ(next, never);
    } else {
      ASSERT_LE(next, start + pending_.begin()->first * 1ms);
      ASSERT_GT(next, start + current_ * 1ms);
    }
  }

  void advance() {
    if (pick(1)) {
      now_ = std::max(now_, std::min(wheel_.next(), Instant(8'000'000'000'000'000'000ns)));
    } else if (const Duration time = some_time() / 100; never - now_ > time) {
      now_ += time;
    }
    target_ =
        std::min<uint64_t>(static_cast<uint64_t>((now_ - start) / 1ms), (uint64_t{1} << 42) - 1);
    due_ = std::exchange(overdue_, {});
    wheel_.advance(now_);
    ASSERT_TRUE(due_.empty());
    current_ = std::max(current_, target_);
    ASSERT_TRUE(pending_.empty() || pending_.begin()->first > current_) << "not fired in time";
  }

  std::mt19937_64 random_;
  Instant now_ = start;
  TimerWheel wheel_{start};
  std::array<std::unique_ptr<Entry>, 30> entries_;
  // The model.
  uint64_t current_ = 0, target_ = 0;
  std::multimap<uint64_t, size_t> pending_;
  std::set<size_t> overdue_, due_;
  size_t firing_ = SIZE_MAX;
};

TEST(TimerWheel, agrees_with_a_simple_model_over_random_scripts) {
  const auto first = std::random_device{}();
  for (uint32_t seed = first; seed != first + 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Script(seed).run();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::io
