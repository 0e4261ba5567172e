#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/config.h"
#include "engine/queue/rule.h"
#include "tests/sim/simulated_engine.h"
#include "tests/sim/world/mail_server.h"
#include "tests/sim/world/name_server.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

/// A message and who is to get it.
struct Mail {
  std::string id;
  std::vector<std::string> recipients;  // those of a domain together
  engine::Priority priority = engine::Priority::normal;
  size_t bytes = 0;  // at least so many in the body
  /// `sender`: bounce@client.test hears of failures and delays.
  engine::Notices notices = engine::Notices::log;
  engine::smtp::DsnRequest dsn;
  bool is_shared = false;  // the same for all, and not one each
};

/// A line of the transaction log; times in seconds since the world began.
struct LogLine {
  std::string event, id, campaign, recipient, phase, host, remote, local, reason, text;
  unsigned attempt = 0, code = 0;
  double time_s = 0, next_attempt_s = 0, expires_s = 0;
  std::map<std::string, double> phases_s;

  /// `deferred 1 connect: timed out after 30 s`.
  std::string brief() const;
};

/// A story told in a simulated world: hosts that DNS names, an engine under a policy, messages, and
/// what the transaction log says became of them. Latencies are short (at most 2 ms), so that what
/// took longer took it because somebody waited.
class Scenario {
 public:
  /// `toml`: the configuration, but for names and folders.
  explicit Scenario(std::string_view toml = "", unsigned shards = 1);
  ~Scenario();

  World world;
  NameServer names;
  // Of the engine that is started next:
  uint32_t socket_slots = 1000;  // of a shard
  engine::dkim::KeyringPtr keys;

  /// A mail server on `address` (port 25), which DNS knows as `name`.
  MailServer& add_host(const std::string& name, const std::string& address);

  /// Hands `mail` over, now.
  void hand_off(const Mail& mail);
  /// What an operator says of mail that waits, as `sluice queue` does.
  void say(engine::queue::Rule rule);
  /// `until_empty`: it stops by itself when nothing waits any more but what is held.
  void start(bool until_empty = false);
  bool has_stopped() const { return engine_->has_stopped(); }
  /// As SIGTERM does; until nothing is in flight.
  void stop();
  /// kill -9.
  void kill();
  void lose_power();

  void run_for(io::Duration duration) { world.run_for(duration); }
  /// Runs until `time` has passed since the world began.
  void run_to(io::Duration time) { world.run_for(time - age()); }
  bool run_until(const std::function<bool()>& done, io::Duration at_most) {
    return world.run_until(done, world.now() + at_most);
  }
  /// Runs until no mail waits.
  bool run_until_done(io::Duration at_most);

  /// Names in a folder of the spool, but for temporary ones.
  std::vector<std::string> files(const std::string& folder);

  /// Since the world began.
  io::Duration age() const { return world.now() - began_; }

  /// The log's lines about `recipient`, of all engines so far, in order.
  std::vector<LogLine> log(std::string_view recipient) const;
  /// All lines but `accepted`.
  std::vector<LogLine> log() const { return log(""); }
  const engine::Totals& totals() const { return engine_->totals(); }
  const engine::report::Counters& counters() const { return engine_->counters(); }

  static io::SocketAddress address(const std::string& ip);

 private:
  double seconds_of(const std::string& time) const;

  std::string log_text() const;

  const io::Instant began_;
  const io::WallTime began_wall_;
  engine::Config config_;
  std::vector<std::unique_ptr<MailServer>> servers_;
  std::unique_ptr<SimulatedEngine> engine_;
  uint64_t handed_off_ = 0;
  std::string log_before_;  // losses of power, which take what was not synced
  size_t log_survived_ = 0;
};

}  // namespace sluice::sim
