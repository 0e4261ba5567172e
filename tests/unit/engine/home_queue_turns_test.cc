#include "tests/unit/engine/queue_world.h"

namespace sluice::engine::queue {
namespace {

MailingPtr of(Priority priority, uint32_t n, uint32_t weight = 1) {
  auto mailing =
      std::make_shared<Mailing>(std::make_shared<Numbers>(n), CampaignMessage{.priority = priority},
                                content(), spool::Progress{});
  mailing->weight = weight;
  return mailing;
}

/// A segment of letters of one recipient each, from these domains; that of heavy.example has the
/// weight 3.
MailingPtr segment(uint64_t uid, const std::vector<std::string>& from) {
  static const Senders senders({{.pattern = "*@heavy.example", .weight = 3}});
  auto letters = std::make_shared<spool::MailSegment>(spool::MailName{1, 0, uid, spool::Salt{3, 4}},
                                                      "", io::File{});
  for (const std::string& domain : from) {
    letters->add_message(
        {.offset = 24, .bytes = 100, .recipients = 1, .accepted_at = io::WallTime(1000s)});
    letters->add_recipients("example.test", domain, 1);
  }
  letters->publish(1000);
  const auto mailing = std::make_shared<Mailing>(std::move(letters), spool::Progress{});
  mailing->senders = &senders;
  return mailing;
}

/// How many letters from each domain were lent.
std::map<std::string, int> lent_by_sender(const World& world) {
  std::map<std::string, int> counts;
  for (const auto& [shard, batches] : world.granted)
    for (const auto& batch : batches)
      for (const Item item : batch->items) {
        const spool::MailSegment& letters = *batch->mailing->letters;
        ++counts[std::string(letters.group(letters.group_of(item.number)).sender)];
      }
  return counts;
}

/// How many recipients of each were lent.
std::map<const Mailing*, size_t> lent(const World& world) {
  std::map<const Mailing*, size_t> counts;
  for (const auto& [shard, batches] : world.granted)
    for (const auto& batch : batches) counts[batch->mailing.get()] += batch->items.size();
  return counts;
}

void want(World& world, int times) {
  for (int i = 0; i < times; ++i) world.queue->want(0);
  world.serve();
}

/// The shard has nothing left of so many batches of this priority.
void took(World& world, Priority priority, uint32_t batches) {
  SessionNews news{.route = &world.route, .shard = 0, .open_now = 1};
  news.loads_ended[PriorityTurns::index(priority)] = batches;
  world.queue->session_news(news, world.time());
  world.serve();
}

TEST(HomeQueueTurns, an_urgent_message_is_lent_at_once_though_nobody_asks) {
  World world(1);
  const MailingPtr campaign = of(Priority::normal, 1'000'000), urgent = of(Priority::urgent, 1);
  world.add(campaign, {{0, 1'000'000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 1);
  world.add(urgent, {{0, 1}});
  world.serve();
  EXPECT_EQ(lent(world)[urgent.get()], 1u);
  EXPECT_EQ(world.unasked, 1);
}

TEST(HomeQueueTurns, nothing_is_lent_unasked_to_a_shard_that_holds_nothing_less_urgent) {
  World world(1);
  world.news(0, 1, 1, 0, 1);
  world.add(of(Priority::urgent, 100), {{0, 100}});
  world.serve();
  EXPECT_EQ(world.unasked, 0);
  world.add(of(Priority::non_urgent, 100), {{0, 100}});
  world.serve();
  EXPECT_EQ(world.unasked, 0);
}

TEST(HomeQueueTurns, a_flood_of_urgent_mail_is_lent_unasked_a_few_batches_at_a_time) {
  World world(1);
  world.add(of(Priority::normal, 1000), {{0, 1000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 1);
  world.add(of(Priority::urgent, 1000), {{0, 1000}});
  world.serve();
  const int at_once = world.unasked;
  EXPECT_GT(at_once, 0);
  EXPECT_LE(at_once, 4);
  world.serve();
  EXPECT_EQ(world.unasked, at_once);
  took(world, Priority::urgent, static_cast<uint32_t>(at_once));
  EXPECT_EQ(world.unasked, 2 * at_once);
}

TEST(HomeQueueTurns, no_priority_starves_the_others) {
  World world(1);
  const MailingPtr urgent = of(Priority::urgent, 100'000), normal = of(Priority::normal, 100'000),
                   slow = of(Priority::non_urgent, 100'000);
  for (const MailingPtr& m : {slow, normal, urgent}) world.add(m, {{0, 100'000}});
  world.news(0, 1, 1, 0, 1);
  for (int i = 0; i < 210; ++i) world.queue->want(0);
  world.serve();
  auto counts = lent(world);
  const size_t unasked = static_cast<size_t>(world.unasked) * 10;
  EXPECT_NEAR(static_cast<double>(counts[slow.get()]), 100, 20);
  EXPECT_NEAR(static_cast<double>(counts[normal.get()]), 400, 60);
  EXPECT_NEAR(static_cast<double>(counts[urgent.get()]), 1600 + static_cast<double>(unasked), 120);
}

TEST(HomeQueueTurns, campaigns_share_a_destination_by_their_weights) {
  World world(1);
  const MailingPtr one = of(Priority::normal, 100'000), other = of(Priority::normal, 100'000),
                   three = of(Priority::normal, 100'000, 3);
  for (const MailingPtr& m : {one, other, three}) world.add(m, {{0, 100'000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 500);
  auto counts = lent(world);
  EXPECT_NEAR(static_cast<double>(counts[one.get()]), 1000, 20);
  EXPECT_NEAR(static_cast<double>(counts[other.get()]), 1000, 20);
  EXPECT_NEAR(static_cast<double>(counts[three.get()]), 3000, 20);
}

TEST(HomeQueueTurns, a_campaign_that_comes_later_gets_its_share_and_nothing_for_the_time_before) {
  World world(1);
  const MailingPtr first = of(Priority::normal, 100'000), second = of(Priority::normal, 100'000);
  world.add(first, {{0, 100'000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 100);
  world.add(second, {{0, 100'000}});
  world.granted.clear();
  want(world, 100);
  auto counts = lent(world);
  EXPECT_NEAR(static_cast<double>(counts[first.get()]), 500, 20);
  EXPECT_NEAR(static_cast<double>(counts[second.get()]), 500, 20);
}

const std::string flood = "flood.example", other = "other.example", heavy = "heavy.example";

TEST(HomeQueueTurns, senders_of_letters_share_by_weight_however_many_segments_they_fill) {
  World world(1);
  for (uint64_t uid = 1; uid <= 8; ++uid)
    world.add(segment(uid, std::vector<std::string>(1000, flood)), {{0, 1000}});
  std::vector<std::string> mixed;
  for (int n = 0; n < 1000; ++n) mixed.insert(mixed.end(), {flood, other, heavy, heavy});
  world.add(segment(9, mixed), {{0, 4000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 1000);
  auto counts = lent_by_sender(world);
  EXPECT_NEAR(counts[flood], 200, 15);
  EXPECT_NEAR(counts[other], 200, 15);
  EXPECT_NEAR(counts[heavy], 600, 15);
}

TEST(HomeQueueTurns, a_letter_waits_for_one_turn_of_a_sender_who_floods_its_segment) {
  World world(1);
  std::vector<std::string> from(1000, flood);
  from.push_back(other);
  const MailingPtr mailing = segment(1, from);
  for (uint32_t n = 0; n < 1000; ++n) world.add(mailing, {{n, 1}});
  world.news(0, 1, 1, 0, 1);
  want(world, 100);
  world.add(mailing, {{1000, 1}});
  want(world, 2);
  EXPECT_EQ(lent_by_sender(world)[other], 1);
  EXPECT_EQ(world.queue->waiting(), 1001u - 102u);
}

TEST(HomeQueueTurns, letters_of_many_senders_in_one_segment_are_each_lent_once) {
  World world(1);
  std::vector<std::string> from;
  for (int n = 0; n < 300; ++n) from.push_back(std::to_string(n % 7));
  const MailingPtr mailing = segment(1, from);
  for (uint32_t n = 0; n < 300; n += 3) world.add(mailing, {{n, 3}});
  world.steer(mailing, {.held = {{100, 50}}});
  world.news(0, 1, 1, 0, 1);
  want(world, 300);
  EXPECT_EQ(world.queue->held(), 50u);
  world.steer(mailing, {});
  want(world, 300);
  std::multiset<uint32_t> all;
  for (uint32_t n = 0; n < 300; ++n) all.insert(n);
  EXPECT_EQ(world.numbers(), all);
  EXPECT_EQ(world.queue->waiting(), 0u);
}

TEST(HomeQueueTurns, those_that_come_back_share_with_those_that_were_not_tried) {
  World world(1);
  const MailingPtr tried = of(Priority::normal, 1000), fresh = of(Priority::normal, 1000);
  for (uint32_t n = 0; n < 1000; ++n)
    world.give_back(tried, {.number = n, .was_deferred = true}, world.now);
  world.add(fresh, {{0, 1000}});
  world.news(0, 1, 1, 0, 1);
  want(world, 60);
  auto counts = lent(world);
  EXPECT_EQ(counts[tried.get()] + counts[fresh.get()], counts[tried.get()] * 2);
}

TEST(HomeQueueTurns, an_urgent_one_that_comes_back_overtakes_others_that_came_back_before) {
  World world(1);
  const MailingPtr normal = of(Priority::normal, 1000), urgent = of(Priority::urgent, 1);
  for (uint32_t n = 0; n < 1000; ++n)
    world.give_back(normal, {.number = n, .was_deferred = true}, world.now);
  world.give_back(urgent, {.number = 0, .was_deferred = true}, world.now);
  world.news(0, 1, 1, 0, 1);
  want(world, 1);
  ASSERT_FALSE(world.granted[0].empty());
  EXPECT_EQ(world.granted[0].front()->mailing, urgent);
}

}  // namespace
}  // namespace sluice::engine::queue
