// wait(): time, budget, order and wake-ups.
#include "tests/contract/machine.h"

namespace sluice::io::contract {

TEST_P(ProactorContract, wait_until_now_does_not_wait) {
  Machine machine(GetParam());
  EXPECT_EQ(machine[0].wait(machine[0].now(), 16), 0u);
  EXPECT_EQ(machine[0].in_flight(), 0u);
}

TEST_P(ProactorContract, wait_ends_at_its_time_and_the_clocks_stand_between_waits) {
  Machine machine(GetParam());
  Proactor& proactor = machine[0];
  const Instant until = proactor.now() + 5ms;
  const WallTime wall = proactor.wall();
  while (proactor.now() < until) {
    const Instant before = proactor.now();
    EXPECT_EQ(proactor.wait(until, 16), 0u);
    EXPECT_GT(proactor.now(), before);
  }
  EXPECT_GT(proactor.wall(), wall);
  EXPECT_EQ(proactor.now(), proactor.now());
}

TEST_P(ProactorContract, no_callback_runs_within_submit_or_cancel) {
  Machine machine(GetParam());
  Recorded<Stat> fails;
  fails.op.path = machine.path("missing");
  Recorded<Lock> fails_at_once;
  Recorded<Connect> refused;  // to no address at all
  machine[0].submit(fails.op);
  machine[0].submit(fails_at_once.op);
  machine[0].submit(refused.op);
  machine[0].cancel(fails.op);
  EXPECT_EQ(fails.completions + fails_at_once.completions + refused.completions, 0u);
  EXPECT_TRUE(fails.op.in_flight && fails_at_once.op.in_flight && refused.op.in_flight);
  EXPECT_EQ(machine[0].in_flight(), 3u);
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
  EXPECT_EQ(fails.completions, 1u);
  EXPECT_EQ(fails_at_once.end, -EBADF);
  EXPECT_EQ(refused.end, -EAFNOSUPPORT);
  EXPECT_FALSE(fails.op.in_flight);
}

TEST_P(ProactorContract, one_wait_runs_no_more_callbacks_than_its_budget) {
  Machine machine(GetParam());
  std::array<Recorded<Stat>, 10> stats;
  for (auto& stat : stats) {
    stat.op.path = machine.path("missing");
    machine[0].submit(stat.op);
  }
  unsigned total = 0;
  for (int turn = 0; turn < 1000 && total < stats.size(); ++turn) {
    const unsigned handled = machine[0].wait(machine[0].now() + 1s, 3);
    EXPECT_LE(handled, 3u);
    total += handled;
    EXPECT_EQ(static_cast<unsigned>(std::ranges::count_if(
                  stats, [](const auto& stat) { return stat.end == -ENOENT; })),
              total);
  }
  EXPECT_EQ(total, stats.size());
}

TEST_P(ProactorContract, an_operation_may_be_submitted_again_from_within_its_last_completion) {
  Machine machine(GetParam());
  struct Again {
    explicit Again(Machine& m) : machine(m) { op.bind<&Again::completed>(this); }
    void completed(Stat&, const Completion&) {
      if (++rounds < 50) machine[0].submit(op);
    }
    Machine& machine;
    Stat op;
    int rounds = 0;
  } again(machine);
  again.op.path = machine.world().scratch();
  machine[0].submit(again.op);
  ASSERT_TRUE(machine.until([&] { return !again.op.in_flight; }));
  EXPECT_EQ(again.rounds, 50);
  EXPECT_EQ(machine[0].in_flight(), 0u);
}

TEST_P(ProactorContract, a_cancelled_operation_completes_exactly_once) {
  Machine machine(GetParam());
  std::array<Recorded<Stat>, 20> stats;
  for (size_t i = 0; i < stats.size(); ++i) {
    stats[i].op.path = machine.world().scratch();
    machine[0].submit(stats[i].op);
    if (i % 2) machine[0].wait(machine[0].now(), 1);
    if (stats[i].op.in_flight) machine[0].cancel(stats[i].op);
    if (stats[i].op.in_flight) machine[0].cancel(stats[i].op);
  }
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
  machine.pass(5ms);
  for (const auto& stat : stats) {
    EXPECT_EQ(stat.completions, 1u);
    EXPECT_TRUE(stat.end == 0 || stat.end == -ECANCELED) << *stat.end;
  }
}

TEST_P(ProactorContract, more_operations_than_any_queue_holds_all_complete) {
  Machine machine(GetParam());
  std::vector<std::unique_ptr<Recorded<Lock>>> plain;
  std::vector<std::unique_ptr<Recorded<Datasync>>> queued;
  for (int i = 0; i < 30'000; ++i) {
    machine[0].submit(queued.emplace_back(std::make_unique<Recorded<Datasync>>())->op);
    if (i % 10 == 0) machine[0].submit(plain.emplace_back(std::make_unique<Recorded<Lock>>())->op);
  }
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
  for (const auto& op : queued) EXPECT_EQ(op->end, -EBADF);
  for (const auto& op : plain) EXPECT_EQ(op->end, -EBADF);
}

TEST_P(ProactorContract, wake_ends_a_wait_of_another_proactor) {
  Machine machine(GetParam(), 2);
  for (int round = 0; round < 3; ++round) {
    const Instant far = machine[0].now() + 1h;
    machine[0].wake(machine[1]);
    machine[0].wake(machine[1]);
    machine[1].wait(machine[1].now(), 16);  // hands the wake-up over
    machine[0].wait(far, 16);
    EXPECT_LT(machine[0].now(), far);
  }
}

TEST_P(ProactorContract, random_bits_differ_from_call_to_call) {
  Machine machine(GetParam());
  std::vector<uint64_t> drawn(1000);
  for (uint64_t& bits : drawn) bits = machine[0].random();
  std::ranges::sort(drawn);
  EXPECT_EQ(std::ranges::adjacent_find(drawn), drawn.end());
}

}  // namespace sluice::io::contract
