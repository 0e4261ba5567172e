#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/config.h"
#include "spool/campaign.h"
#include "tests/sim/simulated_engine.h"
#include "tests/sim/world/mail_server.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

struct DeliverySetup {
  uint64_t seed = 1;
  unsigned shards = 1;
  unsigned servers = 1;  // destinations, each with a server of its own
  unsigned campaigns = 1;
  uint32_t recipients = 3;  // of each campaign, spread over the destinations
  unsigned sessions_max = 3;
  bool is_shared = false;  // the message is the same for all
  unsigned recipients_per_transaction_max = 5;
};

/// Newsletters delivered in a simulated world, and the laws that hold whatever happens there. They
/// watch the servers and the disk; of the engine's own word only that is used by which it can be
/// convicted.
class DeliveryRun {
 public:
  explicit DeliveryRun(const DeliverySetup& setup);
  ~DeliveryRun();

  World world;
  std::vector<std::unique_ptr<MailServer>> servers;

  /// Probability with which a server misbehaves at each phase.
  double roughness = 0;

  /// Hands campaign `index` over, again and again while submitters die or are refused; false: they
  /// were, for 20 seconds.
  bool hand_off(unsigned index);

  /// Starts the engine, again and again while it is refused or dies, and takes care of one that
  /// died before.
  void start(bool until_empty);
  /// Runs for `duration` or until the engine dies, which is then looked into.
  void run_for(io::Duration duration);
  /// Stops the engine as SIGTERM does.
  void stop();
  void kill();
  void lose_power();
  bool is_running() const { return engine_ != nullptr; }

  /// No faults any more, polite servers; runs until the spool is empty and the engine stopped,
  /// restarting it when it dies.
  void run_to_the_end();
  /// Everything ended: conservation, truth, durability, duplicates, politeness.
  void check_laws();

  const io::SocketAddress& address(unsigned server) const { return addresses_[server]; }
  /// Deliveries of all servers by recipient, in the order in which their final dots were sent.
  std::map<std::string, std::vector<const Delivery*>> deliveries() const;

 private:
  struct Expected {
    unsigned campaign;
    uint32_t number;
    std::string name;
  };

  void look_into_death();
  void look_at_disk();
  std::set<std::string> fates_in(Memory memory) const;
  void read_log();
  Answer rough_answer(Phase phase);
  void check_delivery(const std::string& recipient, const Delivery& delivery) const;
  void check_duplicates(const std::string& recipient,
                        const std::vector<const Delivery*>& deliveries) const;
  std::string history(const std::string& recipient,
                      const std::vector<const Delivery*>& deliveries) const;
  void check_fates_on_disk() const;
  void check_log(const std::map<std::string, std::vector<const Delivery*>>& deliveries) const;
  void check_campaign(unsigned index,
                      const std::map<std::string, std::vector<const Delivery*>>& deliveries);

  const DeliverySetup setup_;
  engine::Config config_;
  std::vector<io::SocketAddress> addresses_;
  std::map<std::string, Expected> expected_;         // by recipient
  std::map<uint64_t, std::vector<std::string>> of_;  // recipients of a campaign by number, by uid
  std::unique_ptr<SimulatedEngine> engine_;
  std::vector<io::Instant> deaths_;
  std::set<std::string> log_lines_;
  std::map<std::string, io::Instant> fate_since_;  // as the next engine will find it in the spool
  std::set<std::string> durable_fates_;            // that no loss of power can take
  unsigned refusals_ = 0;                          // 5xx that may end a recipient
};

}  // namespace sluice::sim
