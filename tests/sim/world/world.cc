#include "tests/sim/world/world.h"

#include <algorithm>
#include <utility>

#include "io/check.h"

namespace sluice::sim {

using std::chrono::microseconds;
using std::chrono::seconds;

SimulatedProactor& Process::proactor() {
  const auto number = static_cast<uint32_t>(++world_.proactors_made_);
  proactors_.push_back(std::make_unique<SimulatedProactor>(world_, *this, number));
  world_.proactors_.push_back(proactors_.back().get());
  return *proactors_.back();
}

void Process::raise(int signal) {
  for (const auto& proactor : proactors_) proactor->raise(signal);
}

World::World(uint64_t seed)
    : random_(seed),
      disk_(random_),
      network_(*this),
      start_(seconds(1000)),
      now_(start_),
      wall_at_start_(seconds(1'767'225'600)) {  // 2026-01-01
  disk_.changed = [this](int64_t directory) {
    for (SimulatedProactor* proactor : proactors_) proactor->directory_changed(directory);
  };
}

World::~World() = default;

Process& World::start(Owner owner) {
  processes_.push_back(
      std::make_unique<Process>(*this, static_cast<ProcessNumber>(processes_.size() + 1), owner));
  return *processes_.back();
}

void World::at(io::Instant time, std::function<void()> event) {
  events_.emplace(std::pair(std::max(time, now_), ++events_added_), std::move(event));
}

SimulatedProactor* World::pick() {
  SimulatedProactor* picked = nullptr;
  uint64_t candidates = 0;
  for (SimulatedProactor* proactor : proactors_)
    if (proactor->wants_turn() && random_.below(++candidates) == 0) picked = proactor;
  return picked;
}

io::Instant World::next_moment() const {
  io::Instant next = events_.empty() ? io::never : events_.begin()->first.first;
  for (const SimulatedProactor* proactor : proactors_) next = std::min(next, proactor->wake_at());
  return next;
}

bool World::run_until(const std::function<bool()>& done, io::Instant deadline) {
  for (SimulatedProactor* proactor : proactors_)
    proactor->quiet_turns_ = 0;  // who knows what was done to its owner
  for (; !done(); ++steps_) {
    CHECK(steps_ < steps_max);
    if (!events_.empty() && events_.begin()->first.first <= now_) {
      const auto event = events_.extract(events_.begin());
      event.mapped()();
      continue;
    }
    if (now_ >= deadline) return false;
    if (SimulatedProactor* proactor = pick()) {
      proactor->turn();
      now_ += microseconds(1);
      continue;
    }
    const io::Instant next = next_moment();
    if (next == io::never && deadline == io::never) return false;
    now_ = std::min(next, deadline);
  }
  return true;
}

void World::run_for(io::Duration duration) {
  run_until([] { return false; }, now_ + duration);
}

bool World::count_operation(Process& process) {
  if (!process.is_ours()) return true;
  if (++operations_ != crash_operation_) return true;
  if (crash_kind_ == Crash::power)
    lose_power();
  else
    kill(process);
  return false;
}

void World::crash_at(uint64_t operation, Crash kind) {
  crash_operation_ = operation;
  crash_kind_ = kind;
}

void World::end(Process& process, bool power_lost) {
  process.is_alive_ = false;
  for (const auto& proactor : process.proactors_) {
    proactor->die();
    network_.end(*proactor, power_lost);
    std::erase(proactors_, proactor.get());
  }
}

void World::kill(Process& process) {
  note("kill", process.number());
  if (before_crash) before_crash();
  if (process.is_ours()) ++crashes_;
  end(process, false);
  disk_.end_process(process.number());
}

void World::lose_power() {
  note("lose_power");
  if (before_crash) before_crash();
  ++crashes_;
  for (const auto& process : processes_)
    if (process->is_ours() && process->is_alive()) end(*process, true);
  disk_.lose_power();
}

}  // namespace sluice::sim
