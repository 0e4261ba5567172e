#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "spool/campaign.h"
#include "spool/journal.h"
#include "spool/recovery.h"
#include "spool/spool.h"
#include "tests/sim/world/world.h"

namespace sluice::spool {
namespace {

using sim::Crash;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string folder = "/spool";
const std::string id = "newsletter";
constexpr uint32_t recipient_count = 40;
constexpr std::string_view message = "the message";

std::string entry(uint32_t number) {
  // Large enough for several blocks.
  return "r" + std::to_string(number) + "@example.net" +
         std::string(900, static_cast<char>('a' + number % 26));
}

Bytes as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::expected<CampaignWriter::Committed, Error> hand_off(io::Proactor& proactor,
                                                         uint32_t recipients = recipient_count,
                                                         bool is_repeatable = true) {
  auto writer = CampaignWriter::create(
      proactor, folder, {.id = id, .accepted_at = proactor.wall(), .is_repeatable = is_repeatable});
  if (!writer) return std::unexpected(writer.error());
  for (uint32_t i = 0; i < recipients; ++i) {
    if (i % 10 == 0)
      if (auto begun = (*writer)->begin_group("group" + std::to_string(i)); !begun)
        return std::unexpected(begun.error());
    if (auto added = (*writer)->add(as_bytes(entry(i))); !added)
      return std::unexpected(added.error());
  }
  return (*writer)->commit(as_bytes(message));
}

/// What an engine that starts finds in the spool, and holds while it runs: a spool, its campaigns,
/// a journal with one commit at a time.
class Owner final : Spool::Listener, Journal::Listener, io::TurnEnd {
 public:
  explicit Owner(sim::World& world)
      : world_(world), process_(world.start()), proactor_(process_.proactor()), loop_(proactor_) {
    auto opened = Spool::open(loop_, folder);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    spool = std::move(*opened);
    recovered = std::move(spool->recovered());
    journal = Journal::create(loop_, folder, 0, recovered.next_sequence,
                              std::move(recovered.segments), *this);
    loop_.add(*this);
    proactor_.drive([this] { loop_.turn(); });
    spool->start(*this);
    run_until([this] { return spool->is_settled(); });
  }

  ~Owner() {
    proactor_.stop_driving();
    if (process_.is_alive()) world_.kill(process_);
    journal.reset();
    spool.reset();
    loop_.remove(*this);
  }

  bool run_until(const std::function<bool()>& done) {
    return world_.run_until([&] { return done() || !process_.is_alive(); },
                            world_.now() + seconds(600)) &&
           process_.is_alive();
  }

  void append(const Outcome& outcome) {
    journal->append(outcome);
    appended.push_back(outcome);
  }

  /// Appends outcomes for recipients [0, count), a few a commit, and waits for them to be durable.
  bool append_fates(uint64_t uid, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const auto kind = static_cast<OutcomeKind>(i % 5);
      append({uid, i, 1, kind, kind == OutcomeKind::deferred ? proactor_.wall() : io::WallTime{}});
      if (i % 3 == 2 && !run_until([this] { return !journal->is_committing(); })) return false;
    }
    for (uint32_t i = 0; i < count; i += 5) append({uid, i, 2, OutcomeKind::delivered, {}});
    return run_until([this] { return journal->durable() == appended.size(); });
  }

  bool finish(const std::shared_ptr<const Campaign>& campaign) {
    spool->finish(campaign, {.recipients = campaign->recipients()}, [this] { is_finished = true; });
    if (!run_until([this] { return is_finished; })) return false;
    journal->campaign_finished(campaign->info().uid);
    world_.run_until([this] { return !process_.is_alive() || proactor_.in_flight() <= 1; },
                     world_.now() + seconds(5));
    return process_.is_alive();
  }

  std::string error;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Journal> journal;
  Recovered recovered;
  std::vector<std::shared_ptr<const Campaign>> campaigns;
  std::vector<std::string> unreadable;
  std::vector<Outcome> appended;
  uint64_t acknowledged = 0;  // of appended
  bool is_finished = false;

  /// Of the campaign, once it arrived.
  std::optional<uint64_t> uid() const {
    if (campaigns.empty()) return std::nullopt;
    return campaigns[0]->info().uid;
  }
  io::Proactor& proactor() { return proactor_; }
  bool is_alive() const { return process_.is_alive(); }

 private:
  void campaign_arrived(std::shared_ptr<const Campaign> campaign) override {
    campaigns.push_back(std::move(campaign));
  }
  void mail_arrived(std::shared_ptr<const MailSegment>) override {}
  void summary_found(const CampaignInfo&) override {}
  void campaign_unreadable(const std::string& path, const Error& e) override {
    unreadable.push_back(path + ": " + e.message);
  }
  void journal_committed(uint64_t position) override { acknowledged = position; }
  void journal_stalled(const Error&) override {}
  void journal_resumed() override {}
  void turn_ended() override {
    if (journal && journal->has_pending() && !journal->is_committing()) journal->commit();
  }

  sim::World& world_;
  sim::Process& process_;
  sim::SimulatedProactor& proactor_;
  io::EventLoop loop_;
};

std::vector<std::string> entries(io::Proactor& proactor, const Campaign& campaign) {
  std::vector<std::string> found;
  for (uint32_t i = 0; i < campaign.blocks(); ++i) {
    const BlockRef ref = campaign.block(i);
    std::vector<std::byte> record(ref.bytes);
    io::Read read;
    read.file = campaign.file();
    read.offset = ref.offset;
    read.bytes = record;
    EXPECT_EQ(io::run(proactor, read), static_cast<int32_t>(ref.bytes));
    EXPECT_TRUE(visit_block(ref, record, [&](uint32_t number, Bytes bytes) {
      EXPECT_EQ(number, found.size());
      found.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }));
  }
  return found;
}

/// The campaign is there once and whole, or not at all, and nothing else lies about. Returns
/// whether it is there.
bool is_there_whole(sim::World& world) {
  Owner owner(world);
  EXPECT_EQ(owner.error, "");
  if (!owner.spool) return false;
  EXPECT_TRUE(owner.unreadable.empty()) << owner.unreadable[0];
  EXPECT_LE(owner.campaigns.size(), 1u);
  world.run_for(seconds(1));  // the sweep is in no hurry
  io::ListDirectory list;
  list.path = folder + "/campaigns";
  EXPECT_EQ(io::run(owner.proactor(), list), 0);
  EXPECT_EQ(list.names.size(), owner.campaigns.size())
      << "temporary files are left: " << list.names[0];
  if (owner.campaigns.empty()) return false;
  const Campaign& campaign = *owner.campaigns[0];
  EXPECT_EQ(campaign.info().id, id);
  EXPECT_EQ(campaign.recipients(), recipient_count);
  EXPECT_EQ(campaign.groups().size(), recipient_count / 10);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(campaign.message().data()),
                        campaign.message().size()),
            message);
  const std::vector<std::string> found = entries(owner.proactor(), campaign);
  EXPECT_EQ(found.size(), recipient_count);
  for (uint32_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], entry(i));
  return true;
}

uint64_t operations_of_a_hand_off() {
  sim::World world(1);
  EXPECT_TRUE(hand_off(world.start().proactor()));
  return world.operations();
}

void crash_a_hand_off(uint64_t operation, Crash kind, uint64_t seed) {
  SCOPED_TRACE("operation " + std::to_string(operation) +
               (kind == Crash::power ? " power" : " process") + " seed " + std::to_string(seed));
  sim::World world(seed);
  world.crash_at(operation, kind);
  const auto committed = hand_off(world.start().proactor());
  EXPECT_EQ(world.crashes(), 1u);
  const bool is_there = is_there_whole(world);
  EXPECT_TRUE(is_there || !committed);

  const auto again = hand_off(world.start().proactor());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->was_known, is_there);
  // What was said to be handed off (or known) is there whatever comes.
  world.lose_power();
  EXPECT_TRUE(is_there_whole(world)) << "acknowledged, " << (is_there ? "as known" : "as new");

  const auto once_more = hand_off(world.start().proactor());
  ASSERT_TRUE(once_more) << once_more.error().message;
  EXPECT_TRUE(once_more->was_known);
}

TEST(HandOff, is_whole_or_nothing_at_every_crash_point_and_can_be_repeated) {
  const uint64_t operations = operations_of_a_hand_off();
  EXPECT_GT(operations, 10u);
  for (uint64_t operation = 1; operation <= operations; ++operation)
    for (const Crash kind : {Crash::process, Crash::power})
      for (uint64_t seed = 1; seed <= 8 && !testing::Test::HasFailure(); ++seed)
        crash_a_hand_off(operation, kind, seed);
}

TEST(HandOff, survives_a_loss_of_power_right_after_it_was_acknowledged) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    sim::World world(seed);
    ASSERT_TRUE(hand_off(world.start().proactor()));
    world.lose_power();
    EXPECT_TRUE(is_there_whole(world)) << "seed " << seed;
  }
}

TEST(HandOff, that_a_full_or_failing_disk_refused_leaves_nothing_and_can_be_repeated) {
  unsigned refused = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    sim::World world(seed);
    if (seed % 2)
      world.disk().capacity = world.random().below(60'000);
    else
      world.faults = {.write_error = 0.05, .datasync_error = 0.1, .name_error = 0.1};
    const auto committed = hand_off(world.start().proactor());
    refused += !committed;
    world.faults = {};
    world.disk().capacity = UINT64_MAX;
    const bool is_there = is_there_whole(world);
    EXPECT_TRUE(is_there || !committed);
    const auto again = hand_off(world.start().proactor());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->was_known, is_there);
    world.lose_power();
    EXPECT_TRUE(is_there_whole(world));
  }
  EXPECT_GT(refused, 20u);
}

// --- The journal ---

/// What tests know of the outcomes of all runs over one spool: what was appended, and how much of
/// it was acknowledged.
class Ledger {
 public:
  void take(const Owner& owner) {
    for (size_t i = 0; i < owner.appended.size(); ++i) {
      const Outcome& outcome = owner.appended[i];
      Known& known = recipients_[{outcome.campaign, outcome.recipient}];
      const bool is_fate = outcome.kind != OutcomeKind::deferred;
      (is_fate ? known.may_have_fate : known.may_be_deferred) = true;
      known.attempt_most = std::max(known.attempt_most, outcome.attempt);
      if (i >= owner.acknowledged) continue;
      if (is_fate) known.must_have_fate = true;
      known.attempt_least = std::max(known.attempt_least, outcome.attempt);
    }
  }

  /// Compares with what recovery read.
  void check(const Recovered& recovered) const {
    EXPECT_TRUE(recovered.damages.empty())
        << "a crash is no damage: " << recovered.damages[0].reason << " in "
        << recovered.damages[0].path << " at " << recovered.damages[0].offset;
    static const Progress nothing;
    for (const auto& [key, known] : recipients_) {
      const auto found = recovered.campaigns.find(key.first);
      const Progress& progress = found == recovered.campaigns.end() ? nothing : found->second;
      const bool has_fate = progress.has_fate(key.second);
      const auto deferral = progress.deferred.find(key.second);
      const bool is_deferred = deferral != progress.deferred.end();
      EXPECT_TRUE(has_fate || !known.must_have_fate)
          << "an acknowledged fate is lost: recipient " << key.second;
      EXPECT_TRUE(!has_fate || known.may_have_fate)
          << "a fate nobody wrote: recipient " << key.second;
      if (!has_fate && known.attempt_least > 0) {
        EXPECT_TRUE(is_deferred) << "an acknowledged deferral is lost: recipient " << key.second;
        EXPECT_TRUE(!is_deferred || deferral->second.attempt >= known.attempt_least);
      }
      EXPECT_TRUE(!is_deferred || deferral->second.attempt <= known.attempt_most);
    }
    for (const auto& [uid, progress] : recovered.campaigns)
      for (uint32_t i = 0; i < progress.fates.size() * 64; ++i)
        EXPECT_TRUE(!progress.has_fate(i) || recipients_.contains({uid, i}))
            << "a fate nobody wrote: recipient " << i;
  }

 private:
  struct Known {
    bool must_have_fate = false, may_have_fate = false, may_be_deferred = false;
    uint16_t attempt_least = 0, attempt_most = 0;
  };
  std::map<std::pair<uint64_t, uint32_t>, Known> recipients_;
};

/// Recovery as a test can compare it with another.
std::map<uint64_t, std::pair<std::vector<uint64_t>, std::map<uint32_t, uint16_t>>> comparable(
    const Recovered& recovered) {
  std::map<uint64_t, std::pair<std::vector<uint64_t>, std::map<uint32_t, uint16_t>>> out;
  for (const auto& [uid, progress] : recovered.campaigns) {
    auto& [fates, deferred] = out[uid];
    fates = progress.fates;
    for (const auto& [recipient, deferral] : progress.deferred)
      deferred[recipient] = deferral.attempt;
  }
  return out;
}

void check_recovery(sim::World& world, const Ledger& ledger) {
  io::Proactor& proactor = world.start().proactor();
  const auto first = recover_journal(proactor, folder);
  ASSERT_TRUE(first) << first.error().message;
  ledger.check(*first);
  const auto second = recover_journal(proactor, folder);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(comparable(*first), comparable(*second));
  EXPECT_EQ(second->torn_bytes, 0u) << "the first recovery cut every torn tail";
}

uint64_t operations_of(const std::function<void(sim::World&)>& scenario, uint64_t seed) {
  sim::World world(seed);
  scenario(world);
  return world.operations();
}

TEST(Journal,
     acknowledged_outcomes_survive_every_crash_point_and_recovering_twice_is_recovering_once) {
  const auto scenario = [](sim::World& world, Ledger* ledger) {
    Owner owner(world);
    if (owner.journal && owner.uid()) owner.append_fates(*owner.uid(), 12);
    if (ledger) ledger->take(owner);
  };
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    uint64_t from = 0;
    const uint64_t operations = operations_of(
        [&](sim::World& world) {
          ASSERT_TRUE(hand_off(world.start().proactor()));
          from = world.operations();
          scenario(world, nullptr);
        },
        seed);
    ASSERT_GT(operations, from + 15);
    for (uint64_t operation = from + 1; operation <= operations; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        ASSERT_TRUE(hand_off(world.start().proactor()));
        world.crash_at(operation, kind);
        Ledger ledger;
        scenario(world, &ledger);
        check_recovery(world, ledger);
        // The next run goes on, and loses its power.
        scenario(world, &ledger);
        world.lose_power();
        check_recovery(world, ledger);
        if (testing::Test::HasFailure()) return;
      }
  }
}

TEST(Journal, recovery_may_crash_at_every_point_and_loses_nothing) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    for (uint64_t operation = 1; operation <= 40; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        Ledger ledger;
        {
          ASSERT_TRUE(hand_off(world.start().proactor()));
          Owner owner(world);
          ASSERT_TRUE(owner.uid());
          owner.append_fates(*owner.uid(), 12);
          owner.append({*owner.uid(), 13, 1, OutcomeKind::delivered, {}});
          owner.append({*owner.uid() + 1, 14, 1, OutcomeKind::failed, {}});
          owner.journal->commit();
          world.run_for(std::chrono::microseconds(world.random().below(3000)));
          ledger.take(owner);
        }
        world.lose_power();
        world.crash_at(world.operations() + operation, kind);
        recover_journal(world.start().proactor(), folder);
        world.crash_at(0, kind);
        check_recovery(world, ledger);
        if (testing::Test::HasFailure()) return;
      }
}

/// Dies in a commit; recovery takes what it finds in the page cache; then the power goes.
void lose_what_was_recovered(uint64_t operation, uint64_t seed, bool sync_fails) {
  SCOPED_TRACE("operation " + std::to_string(operation) + " seed " + std::to_string(seed));
  sim::World world(seed);
  ASSERT_TRUE(hand_off(world.start().proactor()));
  // Nothing can be reserved, so that no reserve has to be cut off.
  world.disk().capacity = world.disk().used_bytes() + 20'000;
  world.crash_at(world.operations() + operation, Crash::process);
  if (sync_fails) world.faults.datasync_error = 1;
  {
    Owner owner(world);
    if (owner.journal && owner.uid()) {
      owner.append({*owner.uid(), 1, 1, OutcomeKind::delivered, {}});
      owner.append({*owner.uid(), 2, 1, OutcomeKind::deferred, owner.proactor().wall()});
      owner.run_until([&] { return owner.acknowledged == 2; });
    }
  }
  world.crash_at(0, Crash::process);
  world.faults = {};
  world.disk().capacity = UINT64_MAX;
  const auto before = recover_journal(world.start().proactor(), folder);
  ASSERT_TRUE(before) << before.error().message;
  world.lose_power();
  auto after = recover_journal(world.start().proactor(), folder);
  ASSERT_TRUE(after) << after.error().message;
  for (const auto& [uid, progress] : before->campaigns) {
    // There may be more: a segment whose unlink was lost.
    const Progress& left = after->campaigns[uid];
    EXPECT_TRUE(left.has_fate(1) || !progress.has_fate(1));
    EXPECT_TRUE(left.deferred.contains(2) || !progress.deferred.contains(2));
  }
}

TEST(Journal, what_recovery_found_is_durable) {
  for (const bool sync_fails : {false, true})
    for (uint64_t seed = 1; seed <= 10; ++seed)
      for (uint64_t operation = 1; operation <= 40 && !HasFailure(); ++operation)
        lose_what_was_recovered(operation, seed, sync_fails);
}

void crash_while_finishing(bool is_repeatable) {
  const auto hand_it_off = [is_repeatable](sim::World& world) {
    return hand_off(world.start().proactor(), recipient_count, is_repeatable);
  };
  const auto scenario = [](sim::World& world, Ledger* ledger) {
    Owner owner(world);
    if (owner.campaigns.size() == 1 &&
        owner.append_fates(owner.campaigns[0]->info().uid, recipient_count))
      owner.finish(owner.campaigns[0]);
    if (ledger) ledger->take(owner);
    return owner.is_finished;
  };
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    uint64_t from = 0;
    const uint64_t operations = operations_of(
        [&](sim::World& world) {
          ASSERT_TRUE(hand_it_off(world));
          from = world.operations();
          EXPECT_TRUE(scenario(world, nullptr));
        },
        seed);
    ASSERT_GT(operations, from + 20);
    for (uint64_t operation = from + 1; operation <= operations; ++operation)
      for (const Crash kind : {Crash::process, Crash::power}) {
        SCOPED_TRACE("operation " + std::to_string(operation) +
                     (kind == Crash::power ? " power" : " process") + " seed " +
                     std::to_string(seed));
        sim::World world(seed);
        ASSERT_TRUE(hand_it_off(world));
        world.crash_at(operation, kind);
        Ledger ledger;
        const bool was_finished = scenario(world, &ledger);
        {
          Owner owner(world);
          ASSERT_EQ(owner.error, "");
          EXPECT_TRUE(owner.unreadable.empty()) << owner.unreadable[0];
          EXPECT_TRUE(owner.campaigns.empty() || !was_finished);
          if (!owner.campaigns.empty()) ledger.check(owner.recovered);
        }
        bool is_there = false;
        {
          Owner owner(world);
          is_there = !owner.campaigns.empty();
        }
        const auto again = hand_it_off(world);
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_EQ(again->was_known, is_there || is_repeatable) << "an id stays known";
        if (testing::Test::HasFailure()) return;
      }
  }
}

TEST(Spool, a_campaign_that_is_not_finished_keeps_its_fates_at_every_crash_point_of_finishing) {
  crash_while_finishing(true);
}

TEST(Spool, a_campaign_that_leaves_no_summary_goes_whole_or_keeps_its_fates) {
  crash_while_finishing(false);
}

/// FORMAT.md section 4.3, for the engine that comes after one that was killed.
TEST(Spool, lets_no_segment_go_at_a_start_before_the_summary_is_on_the_disk) {
  unsigned gone = 0;
  for (uint64_t run = 0; run < 100 && !HasFailure(); ++run) {
    const uint64_t operation = 1 + run % 20, seed = 1 + run / 20;
    SCOPED_TRACE("operation " + std::to_string(operation) + " seed " + std::to_string(seed));
    sim::World world(seed);
    ASSERT_TRUE(hand_off(world.start().proactor()));
    {
      Owner owner(world);
      ASSERT_EQ(owner.campaigns.size(), 1u);
      ASSERT_TRUE(owner.append_fates(owner.campaigns[0]->info().uid, recipient_count));
      world.crash_at(world.operations() + operation, Crash::process);
      owner.finish(owner.campaigns[0]);
    }
    world.crash_at(0, Crash::process);
    io::EventLoop loop(world.start().proactor());
    const auto spool = Spool::open(loop, folder);
    ASSERT_TRUE(spool) << spool.error().message;
    if (!(*spool)->recovered().segments.empty()) continue;
    ++gone;
    sim::World left(1);
    left.disk().copy(world.disk(), sim::Memory::platter);
    const auto file = left.disk().contents(folder + "/campaigns/" + id);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->size(), 256u) << "a loss of power now would bring the campaign back";
  }
  EXPECT_GT(gone, 10u);
}

// --- A storm ---

void storm(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  sim::World world(seed);
  sim::Random& random = world.random();
  Ledger ledger;
  ASSERT_TRUE(hand_off(world.start().proactor(), 700));
  for (unsigned run = 0; run < 6; ++run) {
    world.faults = {.write_error = 0.03,
                    .write_no_space = 0.03,
                    .datasync_error = 0.05,
                    .name_error = 0.02,
                    .disk_slow = 0.05};
    if (random.chance(0.3)) world.faults = {};
    if (random.chance(0.2))
      world.disk().capacity = world.disk().used_bytes() + random.below(300'000);
    const Crash kind = random.chance(0.5) ? Crash::power : Crash::process;
    if (random.chance(0.7)) world.crash_at(world.operations() + 1 + random.below(150), kind);
    {
      Owner owner(world);
      const auto first = static_cast<uint32_t>(run * 100);
      for (uint32_t i = first; owner.journal && owner.uid() && i < first + 60; ++i) {
        const auto kind_of = static_cast<OutcomeKind>(random.below(5));
        owner.append(
            {*owner.uid(), i, static_cast<uint16_t>(1 + run), kind_of, owner.proactor().wall()});
        if (!random.chance(0.5)) continue;
        world.run_for(std::chrono::microseconds(random.below(5000)));
        if (!owner.is_alive()) break;
      }
      if (owner.journal) world.run_for(seconds(random.below(4)));
      ledger.take(owner);
    }
    world.crash_at(0, kind);
    if (random.chance(0.5)) world.lose_power();
    world.faults = {};
    world.disk().capacity = UINT64_MAX;
    check_recovery(world, ledger);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Journal, keeps_what_it_acknowledged_through_a_storm_of_faults_and_crashes) {
  const char* seed = std::getenv("SLUICE_STORM_SEED");
  if (seed) return storm(std::strtoull(seed, nullptr, 10));
  for (uint64_t i = 1; i <= 300 && !HasFailure(); ++i) storm(i);
}

}  // namespace
}  // namespace sluice::spool
