#include <algorithm>
#include <cerrno>

#include "spool/journal_name.h"
#include "spool/outcome_record.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

Outcome fate(uint64_t campaign, uint32_t recipient) {
  return {
      .campaign = campaign, .recipient = recipient, .attempt = 1, .kind = OutcomeKind::delivered};
}

class JournalTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    std::filesystem::create_directories(spool() + "/journal");
    proactor_ = std::make_unique<FaultyProactor>(*ring_);
    loop_ = std::make_unique<io::EventLoop>(*proactor_);
  }
  void TearDown() override {
    loop_.reset();
    proactor_.reset();
    SpoolTest::TearDown();
  }

  std::unique_ptr<Journal> journal(uint64_t sequence = 1, std::vector<SealedSegment> sealed = {}) {
    return Journal::create(*loop_, spool(), 0, sequence, std::move(sealed), witness_);
  }
  /// Turns until `done` holds; false after some seconds.
  bool turn_until(const std::function<bool()>& done) {
    const io::Instant end = ring_->now() + std::chrono::seconds(45);
    while (!done() && ring_->now() < end) loop_->turn(loop_->now() + std::chrono::milliseconds(5));
    return done();
  }
  bool commit(Journal& journal, uint64_t position) {
    journal.commit();
    return turn_until([&] { return witness_.committed >= position; });
  }
  /// What the timers of the journal wait for is now past.
  void skip_a_second() {
    proactor_->skipped += std::chrono::seconds(1) + std::chrono::milliseconds(2);
  }
  Recovered recover() {
    auto recovered = recover_journal(*ring_, spool());
    EXPECT_TRUE(recovered) << recovered.error().message;
    return recovered ? std::move(*recovered) : Recovered{};
  }

  JournalWitness witness_;
  std::unique_ptr<FaultyProactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
};

TEST_F(JournalTest, creates_nothing_before_the_first_outcome) {
  auto j = journal();
  j->commit();
  EXPECT_FALSE(j->is_committing());
  EXPECT_TRUE(names("journal").empty());
}

TEST_F(JournalTest, is_read_back_after_a_commit) {
  {
    auto j = journal(7);
    EXPECT_EQ(j->append(fate(1, 5)), 1u);
    EXPECT_EQ(j->append({.campaign = 1,
                         .recipient = 7,
                         .attempt = 2,
                         .next_attempt = at_ms(1'700'000'000'123)}),
              2u);
    EXPECT_EQ(j->append(fate(2, 9)), 3u);
    EXPECT_EQ(j->durable(), 0u);
    ASSERT_TRUE(commit(*j, 3));
    EXPECT_EQ(j->durable(), 3u);
    EXPECT_FALSE(j->has_pending());
  }
  const Recovered recovered = recover();
  EXPECT_EQ(recovered.next_sequence, 8u);
  EXPECT_TRUE(recovered.damages.empty());
  EXPECT_EQ(recovered.torn_bytes, 0u);
  ASSERT_EQ(recovered.campaigns.size(), 2u);
  const Progress& one = recovered.campaigns.at(1);
  EXPECT_TRUE(one.has_fate(5));
  EXPECT_FALSE(one.has_fate(7));
  EXPECT_EQ(one.delivered, 1u);
  ASSERT_TRUE(one.deferred.contains(7));
  EXPECT_EQ(one.deferred.at(7).attempt, 2);
  EXPECT_EQ(one.deferred.at(7).next_attempt, at_ms(1'700'000'000'123));
  EXPECT_TRUE(recovered.campaigns.at(2).has_fate(9));
}

TEST_F(JournalTest, shares_one_durable_write_among_all_that_was_appended) {
  auto j = journal();
  j->append(fate(1, 0));
  ASSERT_TRUE(commit(*j, 1));
  proactor_->forget_counts();
  for (uint32_t i = 1; i <= 1000; ++i) j->append(fate(i % 3, i));
  ASSERT_TRUE(commit(*j, 1001));
  EXPECT_EQ(proactor_->count(io::OpKind::write), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::datasync), 0u);
  EXPECT_EQ(proactor_->count(io::OpKind::sync_directory), 0u);
  EXPECT_EQ(proactor_->count(io::OpKind::open), 0u);
}

TEST_F(JournalTest, takes_what_is_appended_during_a_commit_with_the_next_one) {
  auto j = journal();
  j->append(fate(1, 0));
  j->commit();
  EXPECT_TRUE(j->is_committing());
  j->append(fate(1, 1));
  j->commit();
  ASSERT_TRUE(turn_until([&] { return !j->is_committing(); }));
  EXPECT_EQ(witness_.committed, 1u);
  EXPECT_TRUE(j->has_pending());
  ASSERT_TRUE(commit(*j, 2));
}

TEST_F(JournalTest, reserves_disk_ahead_and_gives_it_back) {
  {
    auto j = journal();
    j->append(fate(1, 0));
    ASSERT_TRUE(commit(*j, 1));
    EXPECT_EQ(proactor_->count(io::OpKind::allocate), 1u);
    io::Stat stat;
    stat.path = spool() + "/journal/" + names("journal")[0];
    ASSERT_EQ(io::run(*ring_, stat), 0);
    EXPECT_EQ(stat.size, j->bytes_on_disk());
    EXPECT_GE(stat.bytes_on_disk, 256u * 1024);
  }
  io::Stat stat;
  stat.path = spool() + "/journal/" + names("journal")[0];
  ASSERT_EQ(io::run(*ring_, stat), 0);
  EXPECT_LE(stat.bytes_on_disk, 4096u);
}

TEST_F(JournalTest, needs_no_file_system_that_can_reserve) {
  proactor_->fault = [](const io::Op& op) {
    return op.kind == io::OpKind::allocate ? -EOPNOTSUPP : 0;
  };
  auto j = journal();
  j->append(fate(1, 0));
  ASSERT_TRUE(commit(*j, 1));
  j->append(fate(1, 1));
  ASSERT_TRUE(commit(*j, 2));
  EXPECT_EQ(proactor_->count(io::OpKind::allocate), 1u);
  EXPECT_EQ(witness_.stalls, 0);
}

TEST_F(JournalTest, stalls_when_no_disk_can_be_reserved_and_still_stores_what_is_under_way) {
  bool is_full = false;
  proactor_->fault = [&](const io::Op& op) {
    return is_full && op.kind == io::OpKind::allocate ? -ENOSPC : 0;
  };
  auto j = journal();
  j->append(fate(1, 0));
  ASSERT_TRUE(commit(*j, 1));
  is_full = true;
  uint32_t last = 0;
  while (!j->is_stalled()) {
    for (int i = 0; i < 5000; ++i) j->append(fate(1, last += 200));
    ASSERT_TRUE(commit(*j, 1 + last / 200));
    ASSERT_LT(last, 200u * 200'000);
  }
  EXPECT_EQ(witness_.stalls, 1);
  EXPECT_EQ(witness_.refusal.code, ErrorCode::no_space);
  j->append(fate(1, last += 200));
  ASSERT_TRUE(commit(*j, 1 + last / 200));
  EXPECT_EQ(witness_.resumes, 0);

  skip_a_second();
  const unsigned before = proactor_->count(io::OpKind::allocate);
  ASSERT_TRUE(turn_until([&] { return proactor_->count(io::OpKind::allocate) > before; }));
  EXPECT_TRUE(j->is_stalled());
  is_full = false;
  ASSERT_TRUE(turn_until([&] {
    skip_a_second();
    return !j->is_stalled();
  }));
  EXPECT_EQ(witness_.stalls, 1);
  EXPECT_EQ(witness_.resumes, 1);
}

/// One kind of operation fails, from the second commit on; when it works again everything is
/// durable in a new segment.
class JournalFaultTest : public JournalTest,
                         public testing::WithParamInterface<std::pair<io::OpKind, int>> {};

TEST_P(JournalFaultTest, acknowledges_nothing_until_it_is_stored_anew) {
  const auto [kind, error] = GetParam();
  bool is_broken = false;
  proactor_->fault = [&, kind_ = kind, error_ = error](const io::Op& op) {
    return is_broken && op.kind == kind_ ? -error_ : 0;
  };
  const auto set_broken = [&, kind_ = kind](bool to) {
    is_broken = to;
    if (kind_ == io::OpKind::datasync)  // of its writes
      proactor_->sync_of_writes = to ? FaultyProactor::Sync::fails : FaultyProactor::Sync::done;
  };
  {
    auto j = journal();
    if (kind != io::OpKind::open && kind != io::OpKind::sync_directory) {
      j->append(fate(1, 0));
      ASSERT_TRUE(commit(*j, 1));
    }
    const uint64_t before = j->durable();
    set_broken(true);
    j->append(fate(1, 1));
    j->commit();
    ASSERT_TRUE(turn_until([&] { return j->is_stalled(); }));
    j->append(fate(1, 2));
    j->commit();
    EXPECT_FALSE(j->is_committing());
    for (int i = 0; i < 3; ++i) {
      skip_a_second();
      loop_->turn(loop_->now() + std::chrono::milliseconds(5));
      ASSERT_TRUE(turn_until([&] { return !j->is_committing(); }));
    }
    EXPECT_EQ(j->durable(), before);
    EXPECT_EQ(witness_.committed, before);
    EXPECT_EQ(witness_.stalls, 1);
    EXPECT_EQ(witness_.refusal.error, error);
    EXPECT_LE(names("journal").size(), 2u);

    set_broken(false);
    ASSERT_TRUE(turn_until([&] {
      skip_a_second();
      return witness_.committed == before + 2;
    }));
    EXPECT_EQ(witness_.resumes, 1);
    EXPECT_FALSE(j->is_stalled());
    j->append(fate(1, 3));
    ASSERT_TRUE(commit(*j, before + 3));
  }
  const Recovered recovered = recover();
  EXPECT_TRUE(recovered.damages.empty());
  const Progress& progress = recovered.campaigns.at(1);
  for (const uint32_t recipient : {1, 2, 3}) EXPECT_TRUE(progress.has_fate(recipient));
}

INSTANTIATE_TEST_SUITE_P(Kinds, JournalFaultTest,
                         testing::Values(std::pair(io::OpKind::write, ENOSPC),
                                         std::pair(io::OpKind::write, EIO),
                                         std::pair(io::OpKind::datasync, EIO),
                                         std::pair(io::OpKind::open, EMFILE),
                                         std::pair(io::OpKind::sync_directory, EIO)));

// After a failed fdatasync the kernel may have dropped the pages: the segment is not written again.
TEST_F(JournalTest, goes_to_a_new_segment_after_a_failed_sync) {
  auto j = journal();
  j->append(fate(1, 0));
  ASSERT_TRUE(commit(*j, 1));
  const std::string first = names("journal")[0];
  const uint64_t acknowledged = j->bytes_on_disk();
  proactor_->sync_of_writes = FaultyProactor::Sync::fails;
  j->append(fate(1, 1));
  j->commit();
  ASSERT_TRUE(turn_until([&] { return j->is_stalled(); }));
  proactor_->sync_of_writes = FaultyProactor::Sync::done;
  skip_a_second();
  ASSERT_TRUE(turn_until([&] { return witness_.committed == 2; }));
  EXPECT_EQ(names("journal").size(), 2u);
  EXPECT_EQ(std::filesystem::file_size(spool() + "/journal/" + first), acknowledged);
}

TEST_F(JournalTest, begins_a_new_segment_before_one_grows_too_large) {
  // It is about sizes: a slow disk need not sync 70 MB for it.
  proactor_->sync_of_writes = FaultyProactor::Sync::skipped;
  auto j = journal();
  uint64_t position = 0;
  for (uint64_t round = 0; round < 50; ++round) {
    // A record for each: 32 octets.
    for (uint64_t i = 0; i < 45'000; ++i) position = j->append(fate(round << 32 | i, 1));
    ASSERT_TRUE(commit(*j, position));
  }
  EXPECT_EQ(names("journal").size(), 2u);
  for (const std::string& name : names("journal"))
    EXPECT_LE(std::filesystem::file_size(spool() + "/journal/" + name), 64u << 20);
}

TEST_F(JournalTest, unlinks_a_segment_when_no_campaign_in_it_is_live) {
  write_file(spool() + "/journal/old", octets("x"));
  auto j = journal(2, {{spool() + "/journal/old", {1, 2}, 1}});
  j->append(fate(2, 0));
  j->append(fate(3, 0));
  ASSERT_TRUE(commit(*j, 2));
  EXPECT_EQ(names("journal").size(), 2u);
  j->campaign_finished(1);
  j->campaign_finished(3);
  ASSERT_TRUE(turn_until([&] { return proactor_->in_flight() == 0; }));
  EXPECT_EQ(names("journal").size(), 2u);
  j->campaign_finished(2);
  ASSERT_TRUE(turn_until([&] { return names("journal").empty(); }));
  EXPECT_EQ(j->bytes_on_disk(), 0u);
  j->append(fate(4, 0));
  ASSERT_TRUE(commit(*j, 3));
  EXPECT_EQ(names("journal").size(), 1u);
}

TEST_F(JournalTest, keeps_a_segment_whose_campaign_ends_while_another_commits) {
  auto j = journal();
  j->append(fate(1, 0));
  ASSERT_TRUE(commit(*j, 1));
  j->append(fate(2, 0));
  j->commit();
  j->campaign_finished(1);
  ASSERT_TRUE(turn_until([&] { return witness_.committed == 2; }));
  EXPECT_EQ(names("journal").size(), 1u);
  EXPECT_TRUE(recover().campaigns.at(2).has_fate(0));
}

TEST(Progress, comes_to_the_same_whatever_the_order) {
  std::vector<Outcome> outcomes;
  for (const uint16_t attempt : std::initializer_list<uint16_t>{1, 2, 3})
    outcomes.push_back({.campaign = 1,
                        .recipient = 4,
                        .attempt = attempt,
                        .next_attempt = io::WallTime(std::chrono::hours(attempt))});
  outcomes.push_back({.campaign = 1,
                      .recipient = 5,
                      .attempt = 1,
                      .next_attempt = io::WallTime(std::chrono::hours(1))});
  outcomes.push_back({.campaign = 1, .recipient = 5, .attempt = 2, .kind = OutcomeKind::expired});
  std::ranges::sort(outcomes, {},
                    [](const Outcome& o) { return std::pair(o.recipient, o.attempt); });
  do {
    Progress progress;
    for (const Outcome& o : outcomes) progress.apply(o);
    for (const Outcome& o : outcomes) progress.apply(o);
    EXPECT_FALSE(progress.has_fate(4));
    EXPECT_TRUE(progress.has_fate(5));
    EXPECT_FALSE(progress.has_fate(1000));
    EXPECT_EQ(progress.expired, 1u);
    ASSERT_EQ(progress.deferred.size(), 1u);
    EXPECT_EQ(progress.deferred.at(4).attempt, 3);
  } while (std::next_permutation(
      outcomes.begin(), outcomes.end(), [](const Outcome& a, const Outcome& b) {
        return std::pair(a.recipient, a.attempt) < std::pair(b.recipient, b.attempt);
      }));
}

}  // namespace
}  // namespace sluice::spool
