// The timer wheel as sessions use it: armed, re-armed at each stage, and hardly ever fired.

#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "io/timer_wheel.h"

namespace {

using namespace sluice::io;
using std::chrono::milliseconds;
using std::chrono::minutes;

struct Owner {
  void fired() { ++count; }
  uint64_t count = 0;
};

/// One of so many armed timers gets a new deadline, as a session's does at each reply.
void arm_again(benchmark::State& state) {
  TimerWheel wheel(Instant{});
  Owner owner;
  const auto count = static_cast<size_t>(state.range(0));
  const auto timers = std::make_unique<Timer[]>(count);
  for (size_t i = 0; i < count; ++i) {
    timers[i].bind<&Owner::fired>(&owner);
    wheel.arm(timers[i], Instant{} + minutes(5) + milliseconds(i));
  }
  size_t next = 0;
  Instant now{};
  for (auto _ : state) {
    wheel.arm(timers[next], now + minutes(5));
    next = (next + 7919) % count;
    now += std::chrono::microseconds(10);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(arm_again)->Arg(100)->Arg(10'000)->Arg(1'000'000);

/// A tick's advance over so many timers, none of which is due.
void advance_idle(benchmark::State& state) {
  TimerWheel wheel(Instant{});
  Owner owner;
  const auto count = static_cast<size_t>(state.range(0));
  const auto timers = std::make_unique<Timer[]>(count);
  for (size_t i = 0; i < count; ++i) {
    timers[i].bind<&Owner::fired>(&owner);
    wheel.arm(timers[i], Instant{} + std::chrono::hours(24 * 365) + milliseconds(i));
  }
  Instant now{};
  for (auto _ : state) benchmark::DoNotOptimize(wheel.advance(now += milliseconds(1)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(advance_idle)->Arg(100)->Arg(1'000'000);

/// Armed and fired, cascades included: so many within the next ten minutes.
void fire(benchmark::State& state) {
  Owner owner;
  const auto count = static_cast<size_t>(state.range(0));
  const auto timers = std::make_unique<Timer[]>(count);
  for (auto _ : state) {
    TimerWheel wheel(Instant{});
    for (size_t i = 0; i < count; ++i) {
      timers[i].bind<&Owner::fired>(&owner);
      wheel.arm(timers[i], Instant{} + milliseconds(i * 7919 % 600'000));
    }
    for (Instant now{}; wheel.armed() > 0;) wheel.advance(now += milliseconds(100));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(fire)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
