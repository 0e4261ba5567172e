#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world/disk.h"
#include "tests/sim/world/faults.h"
#include "tests/sim/world/network.h"
#include "tests/sim/world/random.h"
#include "tests/sim/world/simulated_proactor.h"
#include "tests/sim/world/trace.h"

namespace sluice::sim {

enum class Owner : uint8_t { ours, theirs };
enum class Crash : uint8_t { process, power };

/// What a kill ends. Lives as long as its World, dead or alive.
class Process {
 public:
  Process(World& world, ProcessNumber number, Owner owner)
      : world_(world), number_(number), owner_(owner) {}

  /// A new Proactor of this process.
  SimulatedProactor& proactor();
  void raise(int signal);

  ProcessNumber number() const { return number_; }
  bool is_ours() const { return owner_ == Owner::ours; }
  bool is_alive() const { return is_alive_; }

 private:
  friend class World;
  World& world_;
  const ProcessNumber number_;
  const Owner owner_;
  bool is_alive_ = true;
  std::vector<std::unique_ptr<SimulatedProactor>> proactors_;
};

/// Everything there is, from a seed: see README.md.
class World {
 public:
  explicit World(uint64_t seed);
  ~World();

  Process& start(Owner owner = Owner::ours);

  io::Instant now() const { return now_; }
  io::WallTime wall() const { return wall_at_start_ + (now_ - start_); }
  void jump_wall(io::Duration by) { wall_at_start_ += by; }

  /// Runs until `done()` (looked at after each turn and event) or `deadline`; false when `done`
  /// never held, also when nothing can ever happen again.
  bool run_until(const std::function<bool()>& done, io::Instant deadline = io::never);
  void run_for(io::Duration duration);

  /// Calls `event` at a time to come.
  void at(io::Instant time, std::function<void()> event);
  void after(io::Duration duration, std::function<void()> event) {
    at(now_ + duration, std::move(event));
  }

  void kill(Process& process);
  void lose_power();
  /// The process that is about to do operation number `operation` (from 1) of all that ours do is
  /// killed, or the power goes.
  void crash_at(uint64_t operation, Crash kind);
  /// Called as a kill or a loss of power begins: a last look at what may be lost.
  std::function<void()> before_crash;
  uint64_t operations() const { return operations_; }
  /// Turns and events so far. A world that takes more than steps_max never comes to rest: CHECK.
  uint64_t steps() const { return steps_; }
  static constexpr uint64_t steps_max = 20'000'000;
  unsigned crashes() const { return crashes_; }

  /// What is done between two looks at the clock within a turn (io::Proactor::clock()) takes.
  io::Duration work{};

  FaultPlan faults;
  Random& random() { return random_; }
  Disk& disk() { return disk_; }
  const Disk& disk() const { return disk_; }
  Network& network() { return network_; }
  Trace& trace() { return trace_; }
  void note(std::string_view what, uint64_t a = 0, uint64_t b = 0, int64_t result = 0) {
    trace_.note(now_, what, a, b, result);
  }

 private:
  friend class Process;
  friend class SimulatedProactor;

  /// An operation of `process` is about to happen. False: it died first.
  bool count_operation(Process& process);
  void end(Process& process, bool power_lost);
  SimulatedProactor* pick();
  io::Instant next_moment() const;

  Random random_;
  Trace trace_;
  Disk disk_;
  Network network_;
  const io::Instant start_;
  io::Instant now_;
  io::WallTime wall_at_start_;

  std::map<std::pair<io::Instant, uint64_t>, std::function<void()>> events_;
  uint64_t events_added_ = 0;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<SimulatedProactor*> proactors_;  // of the living
  uint64_t proactors_made_ = 0;

  uint64_t operations_ = 0, crash_operation_ = 0, steps_ = 0;
  Crash crash_kind_ = Crash::process;
  unsigned crashes_ = 0;
};

}  // namespace sluice::sim
