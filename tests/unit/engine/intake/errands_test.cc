#include "engine/intake/errands.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/uring.h"
#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

using Outcome = ErrandResult::Outcome;

/// Errands of two shards, whose thread runs, by rings of their own.
class ErrandsTest : public ScratchFolder {
 protected:
  void SetUp() override {
    ScratchFolder::SetUp();
    std::filesystem::create_directory(path("rules"));
    errands_ = std::make_unique<Errands>(2, folder_);
    ASSERT_TRUE(errands_->start());
    for (unsigned shard = 0; shard < 2; ++shard) {
      auto ring = io::open_uring({.entries = 64, .sockets_max = 1, .receive_buffers = 1});
      ASSERT_TRUE(ring);
      rings_.push_back(std::move(*ring));
      errands_->attach(shard, *rings_.back());
    }
  }
  void TearDown() override {
    if (!rings_.empty()) errands_->stop(*rings_[0]);
    errands_.reset();
    rings_.clear();
    ScratchFolder::TearDown();
  }

  Errand login(uint64_t number, std::string_view password, std::string_view client) const {
    return {.number = number,
            .users = users_,
            .credentials = {.user = "ann", .password = std::string(password)},
            .client = *io::SocketAddress::parse(client)};
  }
  ErrandResult result(unsigned shard) {
    for (;;) {
      if (auto result = errands_->reply(shard)) return *result;
      rings_[shard]->wait(io::never, 64);
    }
  }
  ErrandResult done(unsigned shard, Errand&& errand) {
    EXPECT_TRUE(errands_->ask(shard, std::move(errand)));
    return result(shard);
  }

  const std::shared_ptr<const Users> users_ = std::make_shared<const Users>(
      *Users::parse("ann:$2b$05$Ei7pz8dzkj8agDeFJzfT7.SGW5KSTsIhYMrfrJK11kMO1SmLwKSHO\n"));
  std::vector<std::unique_ptr<io::Proactor>> rings_;
  std::unique_ptr<Errands> errands_;
};

TEST_F(ErrandsTest, check_passwords_and_let_who_guesses_wait_on_every_shard) {
  EXPECT_EQ(done(0, login(1, "secret", "192.0.2.1:99")).outcome, Outcome::done);
  EXPECT_EQ(done(0, login(2, "wrong", "192.0.2.1:99")).delay, io::Duration{});
  const ErrandResult second = done(1, login(3, "wrong", "192.0.2.1:98"));
  EXPECT_EQ(second.number, 3u);
  EXPECT_EQ(second.outcome, Outcome::refused);
  EXPECT_EQ(second.delay, LoginFailures::delay_first);
  EXPECT_EQ(done(0, login(4, "secret", "192.0.2.1:97")).outcome, Outcome::later);
  EXPECT_EQ(done(0, login(5, "secret", "192.0.2.2:99")).outcome, Outcome::done);
}

TEST_F(ErrandsTest, hand_off_all_rules_or_say_that_the_disk_refuses) {
  EXPECT_EQ(done(1, {.number = 1, .rules = {"{}", "{ }"}}).outcome, Outcome::done);
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(path("rules")))
    names.push_back(file.path());
  EXPECT_EQ(names.size(), 2u);
  std::filesystem::remove_all(path("rules"));
  write("rules", "no folder");
  EXPECT_EQ(done(1, {.number = 2, .rules = {"{}"}}).outcome, Outcome::refused);
}

TEST_F(ErrandsTest, are_done_once_each_in_a_shards_order_and_at_most_so_many_wait) {
  uint64_t asked = 0, told = 0;
  bool was_full = false;
  while (told < 300) {
    while (asked < 300) {
      if (!errands_->ask(0, {.number = asked + 1, .rules = {"{}"}})) break;
      ++asked;
    }
    was_full |= asked - told == 64;
    EXPECT_LE(asked - told, 64u);
    EXPECT_EQ(result(0).number, ++told);
  }
  EXPECT_TRUE(was_full);
  EXPECT_FALSE(errands_->reply(0));
  EXPECT_FALSE(errands_->reply(1));
}

TEST_F(ErrandsTest, end_while_some_wait) {
  for (uint64_t number = 1; number <= 20; ++number)
    EXPECT_TRUE(errands_->ask(1, login(number, "secret", "192.0.2.1:99")));
  rings_[1]->wait(io::Instant{}, 0);  // as a loop does at its end
}

}  // namespace
}  // namespace sluice::engine::intake
