#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/coordinator.h"
#include "engine/mesh.h"
#include "engine/shard.h"
#include "spool/spool.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

/// The configuration that `toml` makes, which has no mistakes; domains d0.test, d1.test and so on,
/// of which there are `servers`, each go to an address of their own, 192.0.2.1 and up.
engine::Config config_of(std::string toml, unsigned servers = 0);

/// What engine::Engine puts together, on a World: shards on one thread, each turned on its own. A
/// process that can die.
class SimulatedEngine final : engine::Coordinator::Observer {
 public:
  /// Opens everything and begins. It may die, or be refused by the disk, while it does: see
  /// error(). Each shard believes to have `socket_slots`, and signs with `keys`.
  SimulatedEngine(World& world, const engine::Config& config, bool until_empty,
                  uint32_t socket_slots = 1000, const engine::dkim::KeyringPtr& keys = nullptr);
  SimulatedEngine(const SimulatedEngine&) = delete;
  SimulatedEngine& operator=(const SimulatedEngine&) = delete;
  /// Of an engine that is dead, or has stopped.
  ~SimulatedEngine();

  /// Why it does not run; "" when it does.
  const std::string& error() const { return error_; }
  bool is_alive() const { return process_.is_alive(); }
  void kill() { world_.kill(process_); }
  void stop() { coordinator_->stop(); }
  bool has_stopped() const;
  unsigned in_flight() const;

  /// Recipients whose fates it holds for durable, of the campaigns accepted().
  uint64_t fates_told() const { return coordinator_ ? coordinator_->totals().fates() : 0; }
  const engine::Totals& totals() const { return coordinator_->totals(); }
  const std::vector<uint64_t>& accepted() const { return accepted_; }
  const std::vector<std::string>& refused() const { return refused_; }
  const engine::report::Counters& counters() const { return counters_; }

 private:
  struct Core {
    explicit Core(SimulatedProactor& p) : proactor(p), loop(p) {}
    SimulatedProactor& proactor;
    io::EventLoop loop;
    std::unique_ptr<engine::Shard> shard;
  };

  std::string open(const engine::Config& config, bool until_empty, uint32_t socket_slots,
                   const engine::dkim::KeyringPtr& keys);
  void let_everything_fail();

  void campaign_accepted(const spool::CampaignInfo& info, uint32_t) override {
    accepted_.push_back(info.uid);
  }
  void campaign_finished(const spool::CampaignInfo&, const spool::CampaignSummary&) override {}
  void campaign_refused(const std::string& message) override { refused_.push_back(message); }
  void spool_damaged(const std::string&) override {}
  void rule_unreadable(const std::string&) override {}
  void storage_changed(const std::string&) override {}

  World& world_;
  Process& process_;
  engine::Mesh mesh_;
  engine::report::Counters counters_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<engine::Coordinator> coordinator_;
  std::string error_;
  std::vector<uint64_t> accepted_;
  std::vector<std::string> refused_;
};

}  // namespace sluice::sim
