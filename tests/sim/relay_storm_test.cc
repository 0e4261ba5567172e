#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "io/check.h"
#include "tests/sim/simulated_engine.h"
#include "tests/sim/storms.h"
#include "tests/sim/world/mail_client.h"
#include "tests/sim/world/mail_server.h"

namespace sluice::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct RelaySetup {
  uint64_t seed = 1;
  unsigned shards = 1, servers = 1, clients = 1, sessions_max = 3;
};

const std::string relay_address = "10.0.0.1:2525";

engine::Config configure(const RelaySetup& setup) {
  std::string toml = fmt::format(
      "[engine]\nhostname = \"mta.relay.test\"\nspool = \"/spool\"\nlog = \"/log\"\nshards = {}\n"
      "[destination.\"*\"]\nsessions_max = {}\nmessages_per_session_max = 20\ntls = \"none\"\n"
      "[destination.\"*\".retry]\nfirst = \"20s\"\nceiling = \"10m\"\n"
      "[report]\nnotices = \"log\"\n"
      "[[listen]]\naddress = \"{}\"\nallow = [\"0.0.0.0/0\"]\n",
      setup.shards, setup.sessions_max, relay_address);
  return config_of(std::move(toml), setup.servers);
}

/// A relay in a simulated world: clients hand mail over without end, servers take it, the engine
/// dies now and then. The laws watch clients and servers alone.
class RelayRun {
 public:
  explicit RelayRun(const RelaySetup& setup)
      : world(setup.seed), setup_(setup), config_(configure(setup)) {
    for (unsigned i = 0; i < setup.servers; ++i) {
      const auto address = io::SocketAddress::parse(fmt::format("192.0.2.{}:25", i + 1));
      servers.push_back(std::make_unique<MailServer>(world, *address));
      servers.back()->script = [this](Phase phase, std::string_view) { return answer(phase); };
    }
    for (unsigned i = 0; i < setup.clients; ++i)
      clients.push_back(std::make_unique<MailClient>(
          world, *io::SocketAddress::parse(relay_address), fmt::format("c{}", i), setup.servers));
  }
  ~RelayRun() {
    if (engine_ && engine_->is_alive()) engine_->kill();
  }

  World world;
  std::vector<std::unique_ptr<MailServer>> servers;
  std::vector<std::unique_ptr<MailClient>> clients;
  double roughness = 0;  // probability with which a server misbehaves at each phase

  bool is_running() const { return engine_ != nullptr; }

  void start(bool until_empty) {
    std::string error;
    for (unsigned attempt = 0; attempt < 1000; ++attempt) {
      if (engine_) bury();
      engine_ = std::make_unique<SimulatedEngine>(world, config_, until_empty);
      error = engine_->error();
      if (error.empty() && engine_->is_alive()) return;
      world.run_for(seconds(1));
      if (engine_->is_alive()) engine_.reset();
    }
    FAIL() << "the engine never starts: " << error;
  }

  void run_for(io::Duration duration) {
    world.run_until([this] { return engine_ && !engine_->is_alive(); }, world.now() + duration);
    if (engine_ && !engine_->is_alive()) bury();
  }

  void stop() {
    if (!engine_) return;
    engine_->stop();
    EXPECT_TRUE(world.run_until([this] { return !engine_->is_alive() || is_at_rest(); },
                                world.now() + minutes(10)))
        << "the engine does not stop; in flight: " << engine_->in_flight();
    bury();
  }

  void kill() {
    if (engine_ && engine_->is_alive()) engine_->kill();
    if (engine_) bury();
  }

  void lose_power() {
    world.lose_power();
    if (engine_) bury();
  }

  /// No faults any more, no new mail; runs until the spool is empty.
  void run_to_the_end() {
    world.faults = {};
    roughness = 0;
    world.disk().capacity = UINT64_MAX;
    for (const auto& client : clients) client->stop();
    run_for(minutes(15));  // what clients had begun
    stop();
    const io::Instant latest = world.now() + hours(48);
    while (world.now() < latest) {
      start(true);
      if (!engine_) return;
      world.run_until([this] { return !engine_->is_alive() || is_at_rest(); }, latest);
      const bool is_done = engine_->is_alive();
      if (is_done) {
        EXPECT_TRUE(is_at_rest()) << "liveness: faults ended 48 hours ago and mail still waits";
        if (!is_at_rest()) engine_->kill();
      }
      bury();
      if (is_done) return;
    }
  }

  void check_laws() {
    std::map<std::string, std::vector<const Delivery*>> deliveries;
    for (const auto& server : servers) {
      EXPECT_LE(server->sessions_most(), setup_.sessions_max) << "politeness: sessions at once";
      EXPECT_TRUE(server->violations().empty()) << server->violations()[0];
      for (const Delivery& delivery : server->deliveries())
        for (const std::string& recipient : delivery.recipients)
          deliveries[recipient].push_back(&delivery);
    }
    for (const auto& client : clients) {
      EXPECT_TRUE(client->violations().empty()) << client->violations()[0];
      for (const Submission& submission : client->submissions())
        for (const std::string& recipient : submission.recipients) {
          const auto found = deliveries.extract(recipient);
          EXPECT_FALSE(submission.is_acknowledged && found.empty())
              << "conservation: " << recipient << " is lost, whose client was told 250";
          if (!found.empty()) check_recipient(submission, recipient, found.mapped());
        }
      acknowledged += static_cast<uint64_t>(
          std::ranges::count_if(client->submissions(), &Submission::is_acknowledged));
    }
    EXPECT_TRUE(deliveries.empty()) << "truth: nobody sent mail to " << deliveries.begin()->first;
    std::vector<std::string> left;
    Process& reader = world.start(Owner::theirs);
    io::ListDirectory list;
    list.path = "/spool/mail";
    if (io::run(reader.proactor(), list) == 0) left = list.names;
    world.kill(reader);
    EXPECT_TRUE(left.empty()) << "hygiene: " << left[0] << " is left, though all is done";
    EXPECT_EQ(world.disk().open_files(), 0u) << "hygiene: files are still open";
  }

  uint64_t acknowledged = 0;  // after check_laws()

 private:
  bool is_at_rest() const { return engine_->has_stopped() && engine_->in_flight() == 0; }

  void bury() {
    engine_.reset();
    deaths_.push_back(world.now());
  }

  void check_recipient(const Submission& submission, const std::string& recipient,
                       std::vector<const Delivery*>& deliveries) {
    std::ranges::sort(deliveries, {}, [](const Delivery* d) { return d->dot_sent; });
    for (const Delivery* delivery : deliveries) {
      EXPECT_EQ(delivery->sender, submission.sender);
      EXPECT_TRUE(delivery->content.starts_with("Received: ") &&
                  delivery->content.find(submission.content.substr(0, 12)) != std::string::npos &&
                  delivery->content.ends_with(
                      submission.content.substr(submission.content.find("\r\n\r\n"))))
          << "truth: " << recipient << " got\n"
          << delivery->content << "instead of\n"
          << submission.content;
    }
    for (size_t i = 1; i < deliveries.size(); ++i) {
      const Delivery& earlier = *deliveries[i - 1];
      const Delivery& later = *deliveries[i];
      const bool was_told = earlier.is_answered && earlier.reply.is_read();
      const bool died = std::ranges::any_of(deaths_, [&](io::Instant t) {
        return (earlier.session_began <= t) != (later.session_began <= t);
      });
      EXPECT_TRUE(!was_told || died)
          << "duplicate: " << recipient << " again, though the engine had read the 250";
    }
  }

  /// Nothing that ends a recipient for good: conservation is then simply that it arrived.
  Answer answer(Phase phase) {
    Random& random = world.random();
    Answer answer;
    if (roughness <= 0) return answer;
    if (random.chance(0.1)) answer.delay = random.between(io::Duration(0), seconds(5));
    if (!random.chance(roughness) || phase == Phase::rset || phase == Phase::quit) return answer;
    using Action = Answer::Action;
    switch (random.below(6)) {
      case 0: answer.action = Action::drop; break;
      case 1: answer.action = Action::stall; break;
      case 2: answer.action = Action::garbage; break;
      case 3: answer.reply = "421 4.3.2 going down"; break;
      case 4:
        if (phase == Phase::final_dot) answer.action = Action::take_and_drop;
        break;
      default: answer.reply = "451 4.3.0 later"; break;
    }
    return answer;
  }

  const RelaySetup setup_;
  engine::Config config_;
  std::unique_ptr<SimulatedEngine> engine_;
  std::vector<io::Instant> deaths_;
};

FaultPlan draw_faults(Random& random) {
  FaultPlan faults;
  if (random.chance(0.4)) faults = failing_disk();
  if (random.chance(0.6)) {
    faults.connect_refused = 0.1;
    faults.connect_black_hole = 0.05;
    faults.connection_broken = 0.2;
    faults.connection_silent = 0.05;
    faults.segment_slow = 0.01;
  }
  return faults;
}

uint64_t storm(uint64_t seed) {
  Random draw(seed);
  RelayRun run({.seed = seed,
                .shards = static_cast<unsigned>(draw.between(1, 3)),
                .servers = static_cast<unsigned>(draw.between(1, 3)),
                .clients = static_cast<unsigned>(draw.between(1, 6)),
                .sessions_max = static_cast<unsigned>(draw.between(1, 6))});
  World& world = run.world;
  Random& random = world.random();
  for (uint64_t left = random.between(1, 5); left > 0 && !testing::Test::HasFailure(); --left) {
    world.faults = draw_faults(random);
    run.roughness = random.chance(0.7) ? 0.05 : 0;
    if (random.chance(0.2))
      world.disk().capacity = world.disk().used_bytes() + random.below(600'000);
    if (random.chance(0.6))
      world.crash_at(world.operations() + random.between(1, 1500),
                     random.chance(0.5) ? Crash::power : Crash::process);
    if (!run.is_running()) run.start(false);
    run.run_for(random.between(io::Duration(0), random.chance(0.8) ? seconds(10) : minutes(3)));
    if (random.chance(0.2))
      world.jump_wall(random.between(io::Duration(0), minutes(60)) - minutes(30));
    world.disk().capacity = UINT64_MAX;
    switch (random.below(5)) {
      case 0:  run.kill(); break;
      case 1:  run.lose_power(); break;
      case 2:  run.stop(); break;
      default: break;
    }
  }
  world.crash_at(0, Crash::process);
  run.run_to_the_end();
  run.check_laws();
  return run.acknowledged;
}

TEST(RelayStorm, a_quiet_day_delivers_all) {
  RelayRun run({.seed = 7, .shards = 2, .servers = 2, .clients = 4});
  run.start(false);
  run.run_for(seconds(60));
  run.run_to_the_end();
  run.check_laws();
  EXPECT_GT(run.acknowledged, 100u);
}

/// Seeds that once broke a law.
constexpr uint64_t once_broken[] = {139416655364514};

TEST(RelayStorm, loses_nothing_that_was_acknowledged) {
  uint64_t acknowledged = 0;
  const uint64_t storms =
      run_storms({.once_broken = once_broken, .storms_max = 400, .lasts = seconds(30)},
                 [&](uint64_t seed) { acknowledged += storm(seed); });
  EXPECT_GT(acknowledged, storms);
  fmt::print("{} storms, {} messages acknowledged\n", storms, acknowledged);
}

}  // namespace
}  // namespace sluice::sim
