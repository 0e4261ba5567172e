#include "io/event_loop.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "io/check.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

/// Time passes only in wait(), which notes what it was asked for.
class Clockwork final : public Proactor {
 public:
  void submit(Op&) override { CHECK(false); }
  void cancel(Op&) override { CHECK(false); }
  unsigned wait(Instant until, unsigned budget) override {
    waits.push_back(until);
    budgets.push_back(budget);
    if (until > now_) now_ = std::min(until, now_ + 1s);
    return 0;
  }
  Instant now() const override { return now_; }
  WallTime wall() const override { return {}; }
  uint64_t random() override { return 0; }
  void wake(Proactor&) override {}
  unsigned in_flight() const override { return 0; }

  std::vector<Instant> waits;
  std::vector<unsigned> budgets;

 private:
  Instant now_{1h};
};

struct Note : TurnEnd {
  Note(std::string& t, char n) : text(t), name(n) {}
  void turn_ended() override {
    text += name;
    if (act) act();
  }
  std::string& text;
  char name;
  std::function<void()> act;
};

TEST(EventLoop, waits_for_the_next_timer_but_no_longer_than_told) {
  Clockwork clockwork;
  EventLoop loop(clockwork);
  const Instant begin = loop.now();
  int fired = 0;
  struct Owner {
    void fire() { ++*count; }
    int* count;
  } owner{&fired};
  Timer timer;
  timer.bind<&Owner::fire>(&owner);
  loop.timers().arm(timer, begin + 10ms);
  loop.turn(begin + 5ms);
  EXPECT_EQ(fired, 0);
  loop.turn();
  EXPECT_EQ(fired, 1);
  loop.turn();
  EXPECT_EQ(clockwork.waits, (std::vector<Instant>{begin + 5ms, begin + 10ms, never}));
  EXPECT_EQ(clockwork.budgets, std::vector<unsigned>(3, EventLoop::turn_budget));
}

TEST(EventLoop, does_not_wait_once_when_a_turn_was_requested) {
  Clockwork clockwork;
  EventLoop loop(clockwork);
  const Instant begin = loop.now();
  loop.request_turn();
  loop.turn();
  EXPECT_LE(clockwork.waits.back(), begin);
  loop.turn();
  EXPECT_EQ(clockwork.waits.back(), never);
}

TEST(EventLoop, hooks_run_in_order_each_turn_and_may_come_and_go_within_one) {
  Clockwork clockwork;
  EventLoop loop(clockwork);
  std::string text;
  Note a(text, 'a'), b(text, 'b'), c(text, 'c'), d(text, 'd');
  loop.add(a);
  loop.add(b);
  loop.add(c);
  loop.turn();
  EXPECT_EQ(text, "abc");
  text.clear();
  a.act = [&] { loop.remove(a), loop.remove(b), loop.add(d); };
  loop.turn();
  EXPECT_EQ(text, "acd");
  text.clear();
  loop.turn();
  EXPECT_EQ(text, "cd");
}

TEST(EventLoop, runs_until_stopped_and_can_run_again) {
  Clockwork clockwork;
  EventLoop loop(clockwork);
  std::string text;
  Note note(text, 'x');
  note.act = [&] {
    if (text.size() % 3 == 0) loop.stop();
  };
  loop.add(note);
  loop.run();
  EXPECT_EQ(text, "xxx");
  loop.run();
  EXPECT_EQ(text, "xxxxxx");
}

// Such as the wake of a loop whose word of the end is awaited there.
TEST(EventLoop, hands_over_what_its_last_turn_submitted) {
  Clockwork clockwork;
  EventLoop loop(clockwork);
  std::string text;
  Note note(text, 'x');
  note.act = [&] { loop.stop(); };
  loop.add(note);
  loop.run();
  ASSERT_EQ(clockwork.waits.size(), 2u);
  EXPECT_LE(clockwork.waits.back(), clockwork.now());
}

}  // namespace
}  // namespace sluice::io
