#include "tests/sim/simulated_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "io/check.h"

namespace sluice::sim {

engine::Config config_of(std::string toml, unsigned servers) {
  for (unsigned i = 0; i < servers; ++i)
    toml += fmt::format("[destination.\"d{}.test\"]\nnext_hop = [\"192.0.2.{}:25\"]\n", i, i + 1);
  auto config = engine::Config::parse(toml, "sim.toml");
  if (!config)
    for (const auto& error : config.error()) fmt::print(stderr, "{}\n", error.text);
  CHECK(config);
  return std::move(*config);
}

SimulatedEngine::SimulatedEngine(World& world, const engine::Config& config, bool until_empty,
                                 uint32_t socket_slots, const engine::dkim::KeyringPtr& keys)
    : world_(world), process_(world.start()), mesh_(config.shards), counters_(config.shards) {
  for (unsigned i = 0; i < config.shards; ++i)
    cores_.push_back(std::make_unique<Core>(process_.proactor()));
  error_ = open(config, until_empty, socket_slots, keys);
  if (!error_.empty()) return;
  coordinator_->start();
  for (const auto& core : cores_) core->proactor.drive([&loop = core->loop] { loop.turn(); });
}

std::string SimulatedEngine::open(const engine::Config& config, bool until_empty,
                                  uint32_t socket_slots, const engine::dkim::KeyringPtr& keys) {
  auto opened = spool::Spool::open(cores_[0]->loop, config.spool);
  if (!opened) return opened.error().message;
  spool_ = std::move(*opened);
  spool::Recovered& recovered = spool_->recovered();
  const uint64_t sequence = recovered.next_sequence;
  std::vector<engine::intake::SmtpListenerPtr> listeners;
  for (const engine::ListenPolicy& policy : config.listen) {
    if (until_empty) break;
    auto listener = engine::intake::SmtpListener::open(policy, config);
    if (!listener) return listener.error();
    listeners.push_back(*std::move(listener));
  }
  for (unsigned i = 0; i < cores_.size(); ++i) {
    engine::Shard::Setup setup{
        .index = i,
        .counters = counters_,
        .hostname = config.hostname,
        .spool = config.spool,
        .log = config.log,
        .journal_sequence = sequence,
        .socket_slots = socket_slots,
        .in_doubt = config.in_doubt,
        .dns = {.servers = config.dns_servers, .trust = config.dnssec, .hostname = config.hostname},
        .keys = keys,
        .notices = {.spool = config.spool,
                    .hostname = config.hostname,
                    .postmaster = config.postmaster,
                    .notices = config.notices},
        .listens = !listeners.empty(),
        .listen = listeners};
    if (i == 0) setup.sealed = std::move(recovered.segments);
    cores_[i]->shard = std::make_unique<engine::Shard>(cores_[i]->loop, mesh_, setup);
    if (auto done = cores_[i]->shard->open(std::move(setup)); !done) return done.error();
  }
  engine::Coordinator::Observer& observer = *this;
  coordinator_ = std::make_unique<engine::Coordinator>(
      *cores_[0]->shard, mesh_, *spool_, config, engine::Protections(), until_empty, observer);
  return "";
}

bool SimulatedEngine::has_stopped() const {
  return std::ranges::all_of(cores_, [](const auto& core) { return core->shard->is_stopped(); });
}

unsigned SimulatedEngine::in_flight() const {
  unsigned sum = 0;
  for (const auto& core : cores_) sum += core->proactor.in_flight();
  return sum;
}

/// kill -9 runs no destructors; we must, to get the memory back. What is in flight in a dead
/// process fails, and objects that need it to end see it end.
void SimulatedEngine::let_everything_fail() {
  if (coordinator_) coordinator_->stop();
  for (unsigned round = 0; in_flight() > 0; ++round) {
    CHECK(round < 10000);
    for (const auto& core : cores_) core->loop.turn(core->loop.now());
  }
}

SimulatedEngine::~SimulatedEngine() {
  for (const auto& core : cores_) core->proactor.stop_driving();
  if (!is_alive() && error_.empty()) let_everything_fail();
  while (cores_.size() > 1) cores_.pop_back();
  coordinator_.reset();
  cores_[0]->shard.reset();
  spool_.reset();
  if (is_alive()) kill();
}

}  // namespace sluice::sim
