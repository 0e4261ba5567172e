#include "spool/handoff.h"

#include <cerrno>
#include <optional>

#include "spool/campaign_encoder.h"
#include "spool/campaign_name.h"
#include "spool/spool_folder.h"
#include "spool/sweep.h"
#include "tests/sim/world/world.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

std::vector<std::byte> campaign_octets(const std::string& id, uint32_t recipients) {
  std::vector<std::byte> octets(head_bytes);
  CampaignEncoder encoder(
      Salt::from(7), [&](Bytes bytes) { octets.insert(octets.end(), bytes.begin(), bytes.end()); });
  encoder.begin_group("a.example");
  for (uint32_t i = 0; i < recipients; ++i)
    EXPECT_TRUE(encoder.add(spool::octets("r" + std::to_string(i) + std::string(900, 'x'))));
  const auto head = encoder.finish({.id = id, .uid = 9}, spool::octets("message"));
  EXPECT_TRUE(head);
  std::ranges::copy(*head, octets.begin());
  EXPECT_EQ(encoder.bytes(), octets.size());
  return octets;
}

class HandoffTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    ASSERT_TRUE(make_spool_folder(*ring_, spool(), {"campaigns"}));
    proactor_ = std::make_unique<FaultyProactor>(*ring_);
    handoff_ = std::make_unique<Handoff>(*proactor_, spool());
  }
  void TearDown() override {
    handoff_.reset();
    proactor_.reset();
    SpoolTest::TearDown();
  }

  std::expected<void, Error> hand_over(const std::string& id, Bytes octets) {
    std::optional<std::expected<void, Error>> result;
    handoff_->start(id, octets, [&](auto r) { result = std::move(r); });
    EXPECT_FALSE(result) << "called back from within";
    while (!result) proactor_->wait(io::never, 64);
    EXPECT_FALSE(handoff_->is_in_flight());
    return *result;
  }
  /// The first operation of this kind fails.
  void fail_once(io::OpKind kind, int32_t result) {
    proactor_->fault = [kind, result, done = false](const io::Op& op) mutable {
      if (op.kind != kind || std::exchange(done, true)) return 0;
      return result;
    };
  }

  std::unique_ptr<FaultyProactor> proactor_;
  std::unique_ptr<Handoff> handoff_;
};

TEST_F(HandoffTest, campaign_is_opened_as_it_was_made) {
  const auto octets = campaign_octets("notice-1", 40);
  ASSERT_TRUE(hand_over("notice-1", octets));
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"notice-1"});
  const auto opened = open(*ring_, spool() + "/campaigns/notice-1");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->campaign->recipients(), 40u);
  EXPECT_EQ(text(opened->campaign->message()), "message");
  EXPECT_EQ(entries(*ring_, *opened->campaign).at(39), "r39" + std::string(900, 'x'));
  close(*ring_, opened->campaign->file());
}

TEST_F(HandoffTest, syncs_the_file_before_and_the_folder_behind_the_rename) {
  std::vector<io::OpKind> order;
  proactor_->fault = [&](const io::Op& op) {
    order.push_back(op.kind);
    return 0;
  };
  ASSERT_TRUE(hand_over("one", campaign_octets("one", 1)));
  using enum io::OpKind;
  EXPECT_EQ(order, (std::vector{io::OpKind::open, lock, stat, write, datasync, rename,
                                sync_directory, close_file}));
}

TEST_F(HandoffTest, refused_anywhere_it_says_so_leaves_no_temporary_file_and_may_be_tried_again) {
  using enum io::OpKind;
  for (const io::OpKind kind :
       {io::OpKind::open, lock, stat, write, datasync, rename, sync_directory}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const std::string id = "id" + std::to_string(static_cast<int>(kind));
    const auto octets = campaign_octets(id, 3);
    fail_once(kind, -ENOSPC);
    const auto refused = hand_over(id, octets);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::no_space);
    for (const std::string& name : names("campaigns")) EXPECT_FALSE(name.starts_with('.')) << name;
    ASSERT_TRUE(hand_over(id, octets));
    EXPECT_EQ(read_file(spool() + "/campaigns/" + id), octets);
    for (const std::string& name : names("campaigns")) EXPECT_FALSE(name.starts_with('.')) << name;
  }
}

TEST_F(HandoffTest, is_not_handed_over_again_when_it_finished_before_its_name_was_synced) {
  const auto octets = campaign_octets("gone", 3);
  fail_once(io::OpKind::sync_directory, -EIO);
  ASSERT_FALSE(hand_over("gone", octets));
  std::filesystem::remove(spool() + "/campaigns/gone");
  ASSERT_TRUE(hand_over("gone", octets));
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{});
  ASSERT_TRUE(hand_over("next", campaign_octets("next", 1)));
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"next"});
}

TEST_F(HandoffTest, begins_anew_when_a_sweep_was_quicker) {
  fail_once(io::OpKind::lock, -EWOULDBLOCK);
  ASSERT_TRUE(hand_over("locked", campaign_octets("locked", 1)));
  fail_once(io::OpKind::stat, -ENOENT);
  ASSERT_TRUE(hand_over("swept", campaign_octets("swept", 1)));
  fail_once(io::OpKind::open, -EEXIST);
  ASSERT_TRUE(hand_over("taken", campaign_octets("taken", 1)));
  EXPECT_EQ(names("campaigns"), (std::vector<std::string>{"locked", "swept", "taken"}));
}

TEST_F(HandoffTest, sweep_of_the_same_process_leaves_it_alone) {
  Sweep sweep(*proactor_);
  proactor_->fault = [&](const io::Op& op) {
    if (op.kind == io::OpKind::write)
      sweep.add(spool() + "/campaigns/" + names("campaigns").at(0), true);
    return 0;
  };
  ASSERT_TRUE(hand_over("kept", campaign_octets("kept", 1)));
  while (sweep.is_in_flight()) proactor_->wait(io::never, 64);
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"kept"});
}

TEST_F(HandoffTest, does_not_call_back_any_more_once_destroyed) {
  const auto octets = campaign_octets("late", 1);
  bool called = false;
  handoff_->start("late", octets, [&](const auto&) { called = true; });
  handoff_.reset();
  EXPECT_FALSE(called);
  EXPECT_EQ(proactor_->in_flight(), 0u);
}

/// Crashes at each operation of a hand-off in turn, and looks what a new process finds.
void survives(sim::Crash kind) {
  const std::string folder = "/spool", path = folder + "/campaigns/notice";
  const auto octets = campaign_octets("notice", 3);
  for (uint64_t crash_at = 1;; ++crash_at) {
    SCOPED_TRACE(crash_at);
    sim::World world(crash_at);
    bool durable = false;
    sim::Process& process = world.start();
    sim::SimulatedProactor& proactor = process.proactor();
    ASSERT_TRUE(make_spool_folder(proactor, folder, {"campaigns"}));
    Handoff handoff(proactor, folder);
    const uint64_t before = world.operations();
    world.crash_at(before + crash_at, kind);
    handoff.start("notice", octets, [&](const auto& result) { durable = result.has_value(); });
    while (handoff.is_in_flight() && process.is_alive())
      proactor.wait(proactor.now() + std::chrono::seconds(1), 64);
    const bool crashed = !process.is_alive();
    sim::SimulatedProactor& next = world.start(sim::Owner::theirs).proactor();
    io::Open open;
    open.path = path;
    const bool exists = io::run(next, open) >= 0;
    EXPECT_TRUE(exists || !durable) << "told durable, and gone";
    if (exists) {
      std::vector<std::byte> found(octets.size() + 1);
      io::Read read;
      read.file = open.file;
      read.bytes = found;
      EXPECT_EQ(io::run(next, read), static_cast<int32_t>(octets.size()));
      found.resize(octets.size());
      EXPECT_EQ(found, octets) << "there, and not whole";
    }
    if (crashed) continue;
    EXPECT_TRUE(durable);
    EXPECT_GE(crash_at, 8u) << "too few operations were tried";
    return;
  }
}

TEST(HandoffCrash, of_the_process_leaves_a_whole_campaign_or_none) {
  survives(sim::Crash::process);
}
TEST(HandoffCrash, of_the_power_leaves_a_whole_campaign_or_none) { survives(sim::Crash::power); }

}  // namespace
}  // namespace sluice::spool
