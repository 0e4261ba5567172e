// Mail segments in the simulated world, crashed between any two operations: what was acknowledged
// is there, once and as it came, and nothing is there that nobody sent.

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "spool/journal.h"
#include "spool/mail_writer.h"
#include "spool/spool.h"
#include "tests/sim/world/world.h"
#include "tests/unit/spool/letter.h"

namespace sluice::spool {
namespace {

using sim::Crash;
using std::chrono::seconds;

const std::string folder = "/spool";

/// What senders know over all runs.
struct Ledger {
  uint32_t sent = 0;
  std::set<uint32_t> acknowledged;
  uint64_t fates = 0;  // durable
};

/// A relay while it runs: a spool, a journal, and a writer of mail that commits at the end of each
/// turn.
class Relay final : Spool::Listener, Journal::Listener, MailWriter::Listener, io::TurnEnd {
 public:
  Relay(sim::World& world, Ledger& ledger)
      : world_(world),
        ledger_(ledger),
        process_(world.start()),
        proactor_(process_.proactor()),
        loop_(proactor_) {
    auto opened = Spool::open(loop_, folder);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    spool = std::move(*opened);
    Recovered& recovered = spool->recovered();
    damages = recovered.damages;
    outcomes = std::move(recovered.campaigns);
    journal_ = Journal::create(loop_, folder, 0, recovered.next_sequence,
                               std::move(recovered.segments), *this);
    writer.reset(new MailWriter(loop_, folder, 0, recovered.next_sequence, *this));
    loop_.add(*this);
    proactor_.drive([this] { loop_.turn(); });
    spool->start(*this);
    run_until([this] { return spool->is_settled(); });
  }
  ~Relay() {
    proactor_.stop_driving();
    if (process_.is_alive()) world_.kill(process_);
    writer.reset(), journal_.reset(), spool.reset();
    loop_.remove(*this);
  }

  bool run_until(const std::function<bool()>& done) {
    return world_.run_until([&] { return done() || !process_.is_alive(); },
                            world_.now() + seconds(600)) &&
           process_.is_alive();
  }

  /// One more message, of a size that spans sectors now and then.
  void send() {
    const uint32_t number = ledger_.sent;
    const auto ticket = append(*writer, letter(number, 50 + number * 37 % 700));
    if (!ticket) return;
    ++ledger_.sent;
    numbers_[*ticket] = number;
  }
  /// Three a commit.
  bool send_and_wait(unsigned count) {
    const auto is_idle = [this] { return !writer->has_pending() && !writer->is_committing(); };
    for (unsigned i = 0; i < count; ++i) {
      send();
      if (i % 3 == 2 && !run_until(is_idle)) return false;
    }
    return run_until(is_idle);
  }
  /// Ends the segment, as a clean stop does.
  void stop_writing() { writer.reset(); }

  bool finish(const std::shared_ptr<const MailSegment>& segment) {
    for (uint32_t i = 0; i < segment->recipients(); ++i)
      position_ = journal_->append({segment->info().uid, i, 1, OutcomeKind::delivered, {}});
    if (!run_until([this] { return journal_->durable() == position_; })) return false;
    spool->finish(segment, {}, [this] { is_finished = true; });
    if (!run_until([this] { return is_finished; })) return false;
    journal_->campaign_finished(segment->info().uid);
    world_.run_until([this] { return !process_.is_alive() || proactor_.in_flight() <= 1; },
                     world_.now() + seconds(5));
    return process_.is_alive();
  }

  /// Everything that can be read now, by the letter's number.
  std::map<uint32_t, Letter> read_all() {
    std::map<uint32_t, Letter> found;
    for (const auto& segment : arrived)
      for (uint32_t i = 0; i < segment->blocks(); ++i) {
        const auto one = read_letter(proactor_, *segment, i);
        if (!one) continue;  // torn: missing between others
        const auto number = static_cast<uint32_t>(std::stoul(one->envelope.substr(4)));
        EXPECT_TRUE(found.emplace(number, *one).second) << "twice: " << number;
      }
    return found;
  }

  std::string error;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<MailWriter> writer;
  std::vector<Damage> damages;
  std::unordered_map<uint64_t, Progress> outcomes;
  std::vector<std::shared_ptr<const MailSegment>> arrived;
  bool is_finished = false;
  bool is_alive() const { return process_.is_alive(); }

 private:
  void mail_arrived(std::shared_ptr<const MailSegment> segment) override {
    EXPECT_TRUE(segment->is_sealed());
    arrived.push_back(std::move(segment));
  }
  void campaign_arrived(std::shared_ptr<const Campaign>) override {}
  void summary_found(const CampaignInfo&) override {}
  void campaign_unreadable(const std::string&, const Error&) override {}
  void journal_committed(uint64_t position) override { ledger_.fates = position; }
  void journal_stalled(const Error&) override {}
  void journal_resumed() override {}
  void mail_durable(uint64_t first_ticket, uint32_t count,
                    const std::shared_ptr<const MailSegment>& segment,
                    uint32_t first_block) override {
    if (first_block == 0) spool->adopt(segment);
    for (uint32_t i = 0; i < count; ++i) ledger_.acknowledged.insert(numbers_.at(first_ticket + i));
  }
  void mail_sealed(const std::shared_ptr<const MailSegment>&) override {}
  void mail_stalled(const Error&) override {}
  void mail_resumed() override {}
  void turn_ended() override {
    if (writer) writer->commit();
    if (journal_ && journal_->has_pending() && !journal_->is_committing()) journal_->commit();
  }

  sim::World& world_;
  Ledger& ledger_;
  sim::Process& process_;
  sim::SimulatedProactor& proactor_;
  io::EventLoop loop_;
  std::unique_ptr<Journal> journal_;
  std::map<uint64_t, uint32_t> numbers_;  // of letters, by ticket
  uint64_t position_ = 0;
};

/// What a start finds now; and that another finds the same.
void check(sim::World& world, Ledger& ledger) {
  std::map<uint32_t, Letter> before;
  for (int round = 0; round < 2; ++round) {
    Relay relay(world, ledger);
    ASSERT_EQ(relay.error, "");
    EXPECT_TRUE(relay.damages.empty())
        << "a crash is no damage: " << relay.damages[0].reason << " in " << relay.damages[0].path
        << " at " << relay.damages[0].offset;
    const auto found = relay.read_all();
    for (const uint32_t number : ledger.acknowledged)
      EXPECT_TRUE(found.contains(number)) << "acknowledged and lost: " << number;
    for (const auto& [number, one] : found) {
      EXPECT_LT(number, ledger.sent) << "nobody sent it";
      EXPECT_EQ(one, letter(number, 50 + number * 37 % 700));
    }
    EXPECT_TRUE(round == 0 || found == before);
    before = found;
  }
}

uint64_t operations_of(const std::function<void(sim::World&)>& scenario, uint64_t seed) {
  sim::World world(seed);
  scenario(world);
  return world.operations();
}

void crash_everywhere(uint64_t seeds, const std::function<void(Relay&)>& scenario) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const auto run = [&](sim::World& world, Ledger& ledger) {
      Relay relay(world, ledger);
      if (relay.writer) scenario(relay);
    };
    const uint64_t operations = operations_of(
        [&](sim::World& world) {
          Ledger ledger;
          run(world, ledger);
        },
        seed);
    ASSERT_GT(operations, 20u);
    for (uint64_t operation = 1; operation <= operations; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        Ledger ledger;
        world.crash_at(operation, kind);
        run(world, ledger);
        world.crash_at(0, kind);
        check(world, ledger);
        // The next run goes on, and loses its power.
        run(world, ledger);
        world.lose_power();
        check(world, ledger);
        if (testing::Test::HasFailure()) return;
      }
  }
}

TEST(Mail, that_was_acknowledged_survives_every_crash_point) {
  crash_everywhere(4, [](Relay& relay) { relay.send_and_wait(12); });
}

TEST(Mail, survives_every_crash_point_of_ending_a_segment) {
  crash_everywhere(4, [](Relay& relay) {
    if (relay.send_and_wait(5)) relay.stop_writing();
  });
}

TEST(Mail, recovery_may_crash_at_every_point_and_loses_nothing) {
  for (uint64_t seed = 1; seed <= 6; ++seed)
    for (uint64_t operation = 1; operation <= 40; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        Ledger ledger;
        {
          Relay relay(world, ledger);
          ASSERT_TRUE(relay.send_and_wait(7));
          for (int i = 0; i < 6; ++i) relay.send();
          relay.writer->commit();
          world.run_for(std::chrono::microseconds(world.random().below(3000)));
        }
        world.lose_power();
        world.crash_at(world.operations() + operation, kind);
        {
          const Relay relay(world, ledger);
        }
        world.crash_at(0, kind);
        check(world, ledger);
        if (testing::Test::HasFailure()) return;
      }
}

/// Dies in a commit; recovery takes what it finds in the page cache; then the power goes.
TEST(Mail, what_recovery_found_is_durable) {
  for (const bool sync_fails : {false, true})
    for (uint64_t seed = 1; seed <= 10; ++seed)
      for (uint64_t operation = 1; operation <= 40 && !HasFailure(); ++operation) {
        SCOPED_TRACE("operation " + std::to_string(operation) + " seed " + std::to_string(seed));
        sim::World world(seed);
        Ledger ledger;
        world.crash_at(operation, Crash::process);
        if (sync_fails) world.faults.datasync_error = 1;
        {
          Relay relay(world, ledger);
          if (relay.writer) relay.send_and_wait(4);
        }
        world.crash_at(0, Crash::process);
        world.faults = {};
        std::set<uint32_t> found;
        {
          Relay relay(world, ledger);
          ASSERT_EQ(relay.error, "");
          for (const auto& [number, one] : relay.read_all()) found.insert(number);
        }
        ledger.acknowledged.insert(found.begin(), found.end());
        world.lose_power();
        check(world, ledger);
      }
}

TEST(Mail, that_has_its_fates_goes_whole_or_keeps_them_at_every_crash_point_of_finishing) {
  const auto prepare = [](sim::World& world, Ledger& ledger) {
    Relay relay(world, ledger);
    ASSERT_TRUE(relay.send_and_wait(6));
    relay.stop_writing();
  };
  const auto scenario = [](sim::World& world, Ledger& ledger) {
    Relay relay(world, ledger);
    if (relay.arrived.size() == 1) relay.finish(relay.arrived[0]);
    return relay.is_finished;
  };
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    uint64_t from = 0;
    const uint64_t operations = operations_of(
        [&](sim::World& world) {
          Ledger ledger;
          prepare(world, ledger);
          from = world.operations();
          EXPECT_TRUE(scenario(world, ledger));
        },
        seed);
    for (uint64_t operation = from + 1; operation <= operations; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        Ledger ledger;
        prepare(world, ledger);
        world.crash_at(operation, kind);
        const bool was_finished = scenario(world, ledger);
        world.crash_at(0, kind);
        std::set<uint32_t> with_fate;
        bool is_there = false;
        {
          const Relay relay(world, ledger);
          ASSERT_EQ(relay.error, "");
          is_there = !relay.arrived.empty();
          EXPECT_TRUE(!is_there || !was_finished) << "it was gone for good";
          EXPECT_TRUE(is_there || relay.outcomes.empty()) << "the journal forgets it";
          for (const auto& [uid, progress] : relay.outcomes)
            for (uint32_t i = 0; i < 64; ++i)
              if (progress.has_fate(i)) with_fate.insert(i);
          EXPECT_TRUE(!is_there || with_fate.size() >= ledger.fates) << "there without its fates";
        }
        // And it does not come back without its fates.
        world.lose_power();
        const Relay again(world, ledger);
        EXPECT_TRUE(is_there || again.arrived.empty()) << "back with the power";
        if (is_there) {
          ASSERT_EQ(again.arrived.size(), 1u);
          const auto outcomes = again.outcomes.find(again.arrived[0]->info().uid);
          for (const uint32_t i : with_fate)
            EXPECT_TRUE(outcomes != again.outcomes.end() && outcomes->second.has_fate(i));
        }
        if (testing::Test::HasFailure()) return;
      }
  }
}

void storm(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  sim::World world(seed);
  sim::Random& random = world.random();
  Ledger ledger;
  for (unsigned run = 0; run < 5; ++run) {
    {
      const Relay start(world, ledger);  // the folders, before faults begin
    }
    world.faults = {.write_error = 0.03,
                    .write_no_space = 0.03,
                    .datasync_error = 0.05,
                    .name_error = 0.02,
                    .disk_slow = 0.05};
    if (random.chance(0.3)) world.faults = {};
    if (random.chance(0.2))
      world.disk().capacity = world.disk().used_bytes() + random.below(10'000'000);
    const Crash kind = random.chance(0.5) ? Crash::power : Crash::process;
    if (random.chance(0.7)) world.crash_at(world.operations() + 1 + random.below(120), kind);
    {
      Relay relay(world, ledger);
      for (unsigned i = 0; relay.writer && relay.is_alive() && i < 60; ++i) {
        relay.send();
        if (random.chance(0.5)) world.run_for(std::chrono::microseconds(random.below(5000)));
      }
      if (relay.is_alive()) world.run_for(seconds(random.below(4)));
      if (relay.writer && random.chance(0.5)) relay.stop_writing();
    }
    world.crash_at(0, kind);
    if (random.chance(0.5)) world.lose_power();
    world.faults = {};
    world.disk().capacity = UINT64_MAX;
    check(world, ledger);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Mail, keeps_what_it_acknowledged_through_a_storm_of_faults_and_crashes) {
  const char* seed = std::getenv("SLUICE_STORM_SEED");
  if (seed) return storm(std::strtoull(seed, nullptr, 10));
  for (uint64_t i = 1; i <= 150 && !HasFailure(); ++i) storm(i);
}

}  // namespace
}  // namespace sluice::spool
