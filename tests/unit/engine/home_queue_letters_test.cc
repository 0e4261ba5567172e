#include "tests/unit/engine/queue_world.h"

namespace sluice::engine::queue {
namespace {

/// Mail of one recipient each, accepted so long after the world began.
class Letters {
 public:
  explicit Letters(const std::vector<io::Duration>& accepted) {
    for (const io::Duration after : accepted) {
      segment_->add_message({.offset = 24,
                             .bytes = 100,
                             .recipients = 1,
                             .accepted_at = io::WallTime(1000s) + after});
      segment_->add_recipients("example.test", "s.example", 1);
    }
    segment_->publish(1000);
    mailing = std::make_shared<Mailing>(segment_, spool::Progress{});
    mailing->senders = &senders_;
  }

 private:
  std::shared_ptr<spool::MailSegment> segment_ = std::make_shared<spool::MailSegment>(
      spool::MailName{1, 0, 2, spool::Salt{3, 4}}, "", io::File{});
  const Senders senders_{{}};

 public:
  MailingPtr mailing;
};

/// The numbers that ended, by kind; they are forgotten.
std::multiset<uint32_t> ended(World& world, spool::OutcomeKind kind) {
  std::multiset<uint32_t> numbers;
  for (const auto& [batch, ending] : std::exchange(world.endings, {})) {
    for (const Item item : batch->items)
      if (ending.kind == kind && !ending.is_delay) numbers.insert(item.number);
    world.queue->ended();
  }
  return numbers;
}

TEST(HomeQueueLetters, those_that_come_later_join_those_that_wait_and_each_is_lent_once) {
  World world(1);
  const Letters letters({0s, 1s, 2s, 3s});
  for (uint32_t n = 0; n < 4; ++n) world.add(letters.mailing, {{n, 1}});
  EXPECT_EQ(world.queue->waiting(), 4u);
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{0, 1, 2, 3}));
  EXPECT_EQ(world.queue->waiting(), 0u);
}

TEST(HomeQueueLetters, that_another_queue_sends_on_after_later_ones_are_lent_all_the_same) {
  World world(1);
  const Letters letters({0s, 1s, 2s, 3s, 4s, 5s});
  for (const uint32_t n : {2, 4, 0, 5, 3, 1}) world.add(letters.mailing, {{n, 1}});
  world.steer(letters.mailing, {});
  world.steer(letters.mailing, {.held = {{2, 2}}});
  EXPECT_EQ(world.queue->waiting(), 6u);
  EXPECT_EQ(world.queue->held(), 2u);
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{0, 1, 4, 5}));
}

TEST(HomeQueueLetters, expire_one_after_another_each_at_its_own_time) {
  World world(1);
  world.policy.expire.warn = {};
  const Letters letters({0s, 3600s, 7200s});
  world.add(letters.mailing, {{0, 3}});
  world.now += world.policy.expire.normal;
  world.serve();
  EXPECT_EQ(ended(world, spool::OutcomeKind::expired), (std::multiset<uint32_t>{0}));
  EXPECT_EQ(world.queue->waiting(), 2u);
  EXPECT_EQ(world.queue->next(world.now), world.now + 3600s);
  world.now += 3600s;
  world.serve();
  EXPECT_EQ(ended(world, spool::OutcomeKind::expired), (std::multiset<uint32_t>{1}));
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{2})) << "what is younger goes on";
}

TEST(HomeQueueLetters, those_held_stay_held_when_the_older_of_them_expire) {
  World world(1);
  world.policy.expire.warn = {};
  const Letters letters({0s, 3600s});
  world.add(letters.mailing, {{0, 2}}, {.held = {{0, 2}}, .cancelled = {}});
  world.now += world.policy.expire.normal;
  world.serve();
  EXPECT_EQ(ended(world, spool::OutcomeKind::expired), (std::multiset<uint32_t>{0}));
  EXPECT_EQ(world.queue->held(), 1u);
  world.lend_all();
  EXPECT_TRUE(world.numbers().empty());
}

TEST(HomeQueueLetters, tells_of_the_delay_of_each_at_its_own_time) {
  World world(1);
  world.policy.expire.warn = 4h;
  const Letters letters({0s, 3600s});
  world.add(letters.mailing, {{0, 2}});
  world.now += 4h;
  world.serve();
  ASSERT_EQ(world.endings.size(), 1u);
  EXPECT_TRUE(world.endings[0].second.is_delay);
  ASSERT_EQ(world.endings[0].first->items.size(), 1u);
  EXPECT_EQ(world.endings[0].first->items[0].number, 0u);
  world.all_told();
  EXPECT_EQ(world.queue->waiting(), 2u);
}

}  // namespace
}  // namespace sluice::engine::queue
