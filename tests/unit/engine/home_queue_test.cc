#include "engine/queue/home_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "io/check.h"

namespace sluice::engine::queue {
namespace {

using namespace std::chrono_literals;

/// A campaign of `n` recipients in blocks of ten, without a file: the queue looks at numbers only.
class Numbers final : public spool::Campaign {
 public:
  explicit Numbers(uint32_t n) : n_(n) {}
  const spool::CampaignInfo& info() const override { return info_; }
  uint32_t recipients() const override { return n_; }
  spool::Bytes message() const override { return {}; }
  std::span<const spool::Group> groups() const override { return {}; }
  uint32_t blocks() const override { return (n_ + 9) / 10; }
  spool::BlockRef block(uint32_t index) const override {
    return {.offset = 0, .bytes = 0, .first = index * 10, .count = std::min(10u, n_ - index * 10)};
  }
  uint32_t block_of(uint32_t recipient) const override { return recipient / 10; }
  io::File file() const override { return {}; }
  const std::string& path() const override { return info_.id; }
  uint64_t bytes() const override { return 0; }

 private:
  uint32_t n_;
  spool::CampaignInfo info_;
};

mail::Template content() {
  auto compiled = mail::Template::compile({.message = "From: a@b.example\n\nHello\n",
                                           .path = "m.eml",
                                           .columns = {"email"},
                                           .sender = "a@b.example"});
  CHECK(compiled);
  return *std::move(compiled);
}

MailingPtr mailing(uint32_t n, spool::Progress recovered = {}) {
  return std::make_shared<Mailing>(std::make_shared<Numbers>(n), CampaignMessage{}, content(),
                                   std::move(recovered));
}

struct World {
  explicit World(unsigned n_shards = 2, uint32_t sessions_max = 20) : shards(n_shards) {
    route.policy.sessions_max = sessions_max;
    route.policy.retry.first = 60s, route.policy.retry.factor = 2, route.policy.retry.ceiling = 1h,
    route.policy.retry.jitter = 0;
    queue.emplace(route, shards);
  }
  void serve() {
    queue->serve(
        now,
        [&](unsigned shard, std::unique_ptr<Batch> batch) {
          granted[shard].push_back(std::move(batch));
        },
        [&](unsigned shard, uint32_t sessions) { permits[shard] = sessions; });
  }
  std::multiset<uint32_t> numbers() {
    std::multiset<uint32_t> all;
    for (auto& [shard, batches] : granted)
      for (auto& batch : batches)
        for (const Item item : batch->items) all.insert(item.number);
    return all;
  }
  void news(unsigned shard, uint32_t opened, uint32_t proven, uint32_t refused, uint32_t open_now) {
    queue->session_news({&route, shard, opened, proven, refused, open_now}, now, uint64_t{1} << 63);
  }
  unsigned shards;
  Route route;
  io::Instant now{1000s};
  std::optional<HomeQueue> queue;
  std::map<unsigned, std::vector<std::unique_ptr<Batch>>> granted;
  std::map<unsigned, uint32_t> permits;
};

TEST(HomeQueue, lends_every_recipient_of_its_ranges_once) {
  World world;
  world.queue->add(mailing(95), {{3, 20}, {40, 55}});
  world.news(0, 4, 0, 0, 4);  // both shards may work
  for (int i = 0; i < 50; ++i) world.queue->want(static_cast<unsigned>(i % 2));
  world.serve();
  std::multiset<uint32_t> expected;
  for (uint32_t n = 3; n < 23; ++n) expected.insert(n);
  for (uint32_t n = 40; n < 95; ++n) expected.insert(n);
  EXPECT_EQ(world.numbers(), expected);
}

TEST(HomeQueue, passes_over_recipients_that_have_a_fate_or_wait_for_a_retry) {
  World world(1);
  spool::Progress recovered;
  recovered.apply({.recipient = 4, .attempt = 1, .kind = spool::OutcomeKind::delivered});
  recovered.apply({.recipient = 7, .attempt = 2, .kind = spool::OutcomeKind::deferred});
  world.queue->add(mailing(10, std::move(recovered)), {{0, 10}});
  world.queue->want(0);
  world.serve();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{0, 1, 2, 3, 5, 6, 8, 9}));
}

TEST(HomeQueue, begins_with_one_session_and_doubles_with_those_that_open) {
  World world(2, 20);
  world.queue->add(mailing(1000), {{0, 1000}});
  world.serve();
  EXPECT_EQ(world.permits[0] + world.permits[1], 1u);
  uint32_t open = 0;
  for (const uint32_t expected : {2u, 4u, 8u, 16u, 20u, 20u}) {
    open = world.permits[0] + world.permits[1];
    world.news(0, world.permits[0], 0, 0, world.permits[0]);
    world.news(1, world.permits[1], 0, 0, world.permits[1]);
    world.serve();
    EXPECT_EQ(world.permits[0] + world.permits[1], expected) << "with " << open << " open";
  }
}

TEST(HomeQueue, one_refused_connection_backs_off_the_destination_and_the_next_is_a_single_probe) {
  World world;
  world.queue->add(mailing(1000), {{0, 1000}});
  world.serve();
  world.news(0, 0, 0, 1, 0);
  world.serve();
  EXPECT_EQ(world.permits[0] + world.permits[1], 0u);
  EXPECT_EQ(world.queue->next(world.now), world.now + 60s);
  world.now += 60s;
  world.serve();
  EXPECT_EQ(world.permits[0] + world.permits[1], 1u);
  world.news(0, 0, 0, 1, 0);
  EXPECT_EQ(world.queue->next(world.now), world.now + 120s)
      << "the second refusal in a row waits longer";
}

TEST(HomeQueue, a_verdict_on_a_recipient_ends_the_row_of_refusals) {
  World world;
  world.queue->add(mailing(1000), {{0, 1000}});
  world.news(0, 0, 0, 1, 0);
  world.now += 60s;
  world.news(0, 1, 1, 0, 1);
  world.news(0, 0, 0, 1, 0);
  EXPECT_EQ(world.queue->next(world.now), world.now + 60s);
}

TEST(HomeQueue, a_host_that_refuses_more_keeps_what_it_took_and_is_not_pressed_for_a_minute) {
  World world(1, 20);
  world.queue->add(mailing(1000), {{0, 1000}});
  world.news(0, 4, 4, 0, 4);
  world.serve();
  EXPECT_EQ(world.permits[0], 8u);
  world.news(0, 1, 0, 3, 5);
  world.serve();
  EXPECT_EQ(world.permits[0], 5u);
  world.now += 59s;
  world.news(0, 1, 0, 0, 5);
  world.serve();
  EXPECT_EQ(world.permits[0], 5u);
  world.now += 1s;
  world.news(0, 1, 0, 0, 5);
  world.serve();
  EXPECT_EQ(world.permits[0], 10u);
}

TEST(HomeQueue, the_deferred_come_when_due_and_not_before) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.queue->give_back({m, {12, 1}, world.now + 5min});
  world.queue->give_back({m, {15, 1}, world.now + 5min});
  world.queue->give_back({m, {77, 3}, world.now + 1min});
  world.queue->want(0);
  world.queue->want(0);
  world.serve();
  EXPECT_TRUE(world.numbers().empty());
  EXPECT_EQ(world.queue->next(world.now), world.now + 1min);
  world.now += 1min;
  world.serve();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{77}));
  EXPECT_EQ(world.granted[0].back()->items[0].attempts, 3);
  world.now += 4min;
  world.serve();
  ASSERT_EQ(world.granted[0].size(), 2u) << "two of one block travel together";
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{12, 15, 77}));
}

TEST(HomeQueue, campaigns_take_turns) {
  World world(1);
  const MailingPtr a = mailing(1000), b = mailing(1000);
  world.queue->add(a, {{0, 1000}});
  world.queue->add(b, {{0, 1000}});
  for (int i = 0; i < 10; ++i) world.queue->want(0);
  world.serve();
  const auto of_b = std::ranges::count_if(world.granted[0],
                                          [&](const auto& batch) { return batch->mailing == b; });
  EXPECT_EQ(of_b, 5);
}

}  // namespace
}  // namespace sluice::engine::queue
