#include "tests/unit/engine/queue_world.h"

#include "engine/queue/routing.h"

namespace sluice::engine::queue {
namespace {

TEST(HomeQueue, lends_every_recipient_of_its_ranges_once) {
  World world;
  world.add(mailing(95), {{3, 20}, {40, 55}});
  world.news(0, 4, 0, 0, 4);  // both shards may work
  for (int i = 0; i < 50; ++i) world.queue->want(static_cast<unsigned>(i % 2));
  world.serve();
  std::multiset<uint32_t> expected;
  for (uint32_t n = 3; n < 23; ++n) expected.insert(n);
  for (uint32_t n = 40; n < 95; ++n) expected.insert(n);
  EXPECT_EQ(world.numbers(), expected);
}

TEST(HomeQueue, takes_in_those_of_its_ranges_that_earlier_runs_deferred) {
  World world(1);
  const io::WallTime now = world.time().wall;
  EarlierRun earlier;
  earlier.deferrals.put({.recipient = 2, .attempt = 1, .next_attempt = now - 1s});
  earlier.deferrals.put({.recipient = 3, .attempt = 4, .next_attempt = now + 60s});
  earlier.deferrals.put({.recipient = 4, .attempt = 2, .next_attempt = now + 60s});
  earlier.deferrals.put({.recipient = 9, .attempt = 1, .next_attempt = now - 1s});
  earlier.standing.retried = {{4, 1}};
  world.queue->restore(mailing(10), {{0, 5}}, earlier, {}, world.time());
  EXPECT_EQ(world.queue->waiting(), 3u);
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{2, 4}));
  world.now += 60s;
  world.serve();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{2, 3, 4}));
  EXPECT_EQ(world.granted[0].back()->items[0].attempts, 4);
}

/// After a reload [from, from + count) of the mailing go to `to`, and the others stay.
std::shared_ptr<const Routing> moved(const World& world, const Mailing& mailing, Range range,
                                     const Route& to, Orders orders = {}) {
  auto routing = std::make_shared<Routing>();
  const uint32_t end = range.first + range.count;
  routing->mailings[mailing.campaign->info().uid] = {
      {{{0, range.first}, &world.route},
       {range, &to},
       {{end, mailing.campaign->recipients() - end}, &world.route}},
      std::move(orders)};
  return routing;
}

TEST(HomeQueue, sends_on_those_that_go_elsewhere_after_a_reload_and_keeps_the_others) {
  World world(1);
  const DestinationPolicy other_policy{.next_hops = {"192.0.2.9:25"}};
  const Route other{"192.0.2.9:25", other_policy, 1};
  const MailingPtr m = mailing(95);
  world.add(m, {{0, 95}});
  world.queue->reroute(moved(world, *m, {20, 30}, other, {.held = {{25, 1}}}), world.time());
  world.serve();
  ASSERT_EQ(world.departures.size(), 1u);
  const AddSource& departure = world.departures[0];
  EXPECT_EQ(departure.route, &other);
  EXPECT_EQ(departure.mailing, m);
  EXPECT_EQ(departure.ranges, (std::vector<Range>{{20, 30}}));
  EXPECT_EQ(departure.orders.held, (std::vector<Range>{{25, 1}}));
  EXPECT_EQ(world.queue->waiting(), 65u);
  world.lend_all();
  EXPECT_EQ(world.numbers().size(), 65u);
  EXPECT_EQ(world.numbers().count(20) + world.numbers().count(49), 0u);
}

TEST(HomeQueue, sends_on_what_comes_back_after_a_reload) {
  World world(1);
  const DestinationPolicy other_policy{.next_hops = {"192.0.2.9:25"}};
  const Route other{"192.0.2.9:25", other_policy, 1};
  const MailingPtr m = mailing(20);
  world.add(m, {{0, 20}});
  world.lend_all();
  world.queue->reroute(moved(world, *m, {0, 10}, other), world.time());
  world.give_back(m, {.number = 3, .attempts = 1, .was_deferred = true}, world.now + 1h);
  world.give_back(m, {.number = 13, .attempts = 1, .was_deferred = true}, world.now + 1h);
  world.serve();
  EXPECT_EQ(world.queue->waiting(), 1u);
  ASSERT_EQ(world.departures.size(), 1u);
  ASSERT_EQ(world.departures[0].returned.size(), 1u);
  const Returned& returned = world.departures[0].returned[0];
  EXPECT_EQ(returned.item.number, 3u);
  EXPECT_EQ(returned.item.attempts, 1u);
  EXPECT_EQ(returned.due, world.now) << "the reason it waited for was of other hosts";
}

TEST(HomeQueue, what_is_deferred_keeps_its_time_when_a_reload_changes_no_host) {
  World world(1);
  const DestinationPolicy slower{.sessions_max = 1};
  const Route same_hosts{"example.test", slower, 1};
  const MailingPtr m = mailing(20);
  world.give_back(m, {.number = 3, .attempts = 2, .was_deferred = true}, world.now + 1h);
  world.add(m, {{5, 10}});
  world.news(0, 0, 0, 1, 0);  // nobody takes a session
  const io::Instant until = world.now + 60s;
  world.queue->reroute(moved(world, *m, {0, 20}, same_hosts), world.time());
  world.serve();
  EXPECT_EQ(world.queue->waiting(), 0u);
  ASSERT_EQ(world.departures.size(), 2u);
  EXPECT_EQ(world.departures[0].waits.refusals(), 1u);
  EXPECT_EQ(world.departures[0].waits.attempts(), 1u);
  EXPECT_EQ(world.departures[0].waits.next_attempt() - world.time().wall, until - world.now);
  EXPECT_EQ(world.departures[1].returned.at(0).due, world.now + 1h);
  EXPECT_EQ(world.departures[1].returned.at(0).item.attempts, 2u);
  EXPECT_TRUE(world.queue->is_idle());
}

TEST(HomeQueue, passes_over_recipients_that_have_a_fate_or_wait_for_a_retry) {
  World world(1);
  spool::Progress recovered;
  recovered.apply({.recipient = 4, .attempt = 1, .kind = spool::OutcomeKind::delivered});
  recovered.apply({.recipient = 7, .attempt = 2, .kind = spool::OutcomeKind::deferred});
  world.add(mailing(10, std::move(recovered)), {{0, 10}});
  world.queue->want(0);
  world.serve();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{0, 1, 2, 3, 5, 6, 8, 9}));
}

TEST(HomeQueue, begins_with_one_session_and_doubles_with_those_that_open) {
  World world(2, 20);
  world.add(mailing(1000), {{0, 1000}});
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
  world.add(mailing(1000), {{0, 1000}});
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
  world.add(mailing(1000), {{0, 1000}});
  world.news(0, 0, 0, 1, 0);
  world.now += 60s;
  world.news(0, 1, 1, 0, 1);
  world.news(0, 0, 0, 1, 0);
  EXPECT_EQ(world.queue->next(world.now), world.now + 60s);
}

TEST(HomeQueue, a_host_that_refuses_more_keeps_what_it_took_and_is_not_pressed_for_a_minute) {
  World world(1, 20);
  world.add(mailing(1000), {{0, 1000}});
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
  world.give_back(m, {.number = 12, .attempts = 1}, world.now + 5min);
  world.give_back(m, {.number = 15, .attempts = 1}, world.now + 5min);
  world.give_back(m, {.number = 77, .attempts = 3}, world.now + 1min);
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
  world.add(a, {{0, 1000}});
  world.add(b, {{0, 1000}});
  for (int i = 0; i < 10; ++i) world.queue->want(0);
  world.serve();
  const auto of_b = std::ranges::count_if(world.granted[0],
                                          [&](const auto& batch) { return batch->mailing == b; });
  EXPECT_EQ(of_b, 5);
}

TEST(HomeQueue, a_setback_counts_as_an_attempt_for_all_who_waited_and_for_nobody_else) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 20}});
  world.give_back(m, {.number = 50, .attempts = 4, .was_deferred = true},
                  world.now + 90s);  // not due at the first setback
  for (int i = 0; i < 2; ++i) {
    world.serve();
    world.news(0, 0, 0, 1, 0);
    world.serve();
    world.all_told();
    world.now = world.queue->next(world.now);
    world.serve();
    world.now += 100s;
  }
  ASSERT_EQ(world.waits.size(), 2u) << "one for each setback";
  EXPECT_EQ(world.waits[1].one, 0u);
  EXPECT_EQ(world.waits[1].attempts, 2);
  world.add(m, {{80, 10}});
  world.news(0, 1, 0, 0, 1);
  for (int i = 0; i < 9; ++i) world.queue->want(0);
  world.serve();
  std::map<uint32_t, unsigned> attempts;
  for (const auto& batch : world.granted[0])
    for (const Item item : batch->items) attempts[item.number] = item.attempts;
  EXPECT_EQ(attempts.at(0), 2u);
  EXPECT_EQ(attempts.at(19), 2u);
  EXPECT_EQ(attempts.at(50), 5u);
  EXPECT_EQ(attempts.at(80), 0u);
}

TEST(HomeQueue, what_this_machine_lacks_is_told_and_waited_for_and_is_nobodys_attempt) {
  World world(1);
  world.policy.retry.connect_attempts_max = 1;
  world.add(mailing(95), {{0, 95}});
  auto why = std::make_shared<Setback>();
  why->is_ours = true;
  why->reason = "connect: no such address here";
  world.queue->session_news({.route = &world.route, .refused = 1, .setback = why}, world.time());
  world.serve();
  EXPECT_EQ(world.permits[0], 0u);
  EXPECT_TRUE(world.waits.empty());
  ASSERT_EQ(world.endings.size(), 1u);
  EXPECT_EQ(world.endings[0].second.kind, spool::OutcomeKind::deferred);
  EXPECT_EQ(world.endings[0].second.why->reason, why->reason);
  EXPECT_EQ(world.endings[0].second.until, world.now + 60s);
  world.all_told();
  world.now += 60s;
  world.queue->session_news({.route = &world.route, .refused = 1, .setback = why}, world.time());
  world.serve();
  EXPECT_TRUE(world.endings.empty()) << "the log knows";
  world.now += 60s;
  world.lend_all();
  for (const auto& batch : world.granted[0])
    for (const Item item : batch->items) EXPECT_EQ(item.attempts, 0);
  EXPECT_EQ(world.numbers().size(), 95u);
}

TEST(HomeQueue, tells_of_a_setback_once_with_those_who_would_be_next) {
  World world(1);
  world.add(mailing(1000), {{0, 1000}});
  world.serve();
  world.news(0, 0, 0, 1, 0);
  world.serve();
  world.serve();
  ASSERT_EQ(world.endings.size(), 1u);
  EXPECT_EQ(world.endings[0].second.kind, spool::OutcomeKind::deferred);
  EXPECT_EQ(world.endings[0].second.until, world.now + 60s);
  EXPECT_EQ(world.endings[0].first->items[0].attempts, 1);
  EXPECT_EQ(world.queue->waiting() + world.endings[0].first->items.size(), 1000u);
}

TEST(HomeQueue, ends_those_who_waited_for_as_many_refused_connections_as_they_may) {
  World world(1);
  world.policy.retry.connect_interval = 600s;
  world.policy.retry.connect_attempts_max = 144;
  world.add(mailing(1), {{0, 1}});
  const io::Instant began = world.now;
  int connections = 0;
  while (world.endings.empty() && connections < 1000) {
    world.serve();
    if (world.endings.empty()) ++connections, world.news(0, 0, 0, 1, 0);
    world.serve();
    if (connections < 144) world.all_told();
    if (connections == 144 && world.endings[0].second.kind == spool::OutcomeKind::deferred)
      world.all_told();
    if (world.endings.empty()) world.now = world.queue->next(world.now);
  }
  EXPECT_EQ(connections, 144);
  ASSERT_EQ(world.endings.size(), 1u);
  EXPECT_EQ(world.endings[0].second.kind, spool::OutcomeKind::failed);
  EXPECT_EQ(world.endings[0].first->items[0].attempts, 144);
  EXPECT_EQ(world.now - began, 24h) << "the last interval passes as well";
}

TEST(HomeQueue, a_session_that_opens_begins_the_count_of_refused_connections_anew) {
  World world(1);
  world.policy.retry.connect_interval = 1s;
  world.policy.retry.connect_attempts_max = 3;
  world.add(mailing(1), {{0, 1}});
  for (int i = 0; i < 20; ++i) {
    world.now += 2s;
    world.serve();
    if (i % 3 == 2)
      world.news(0, 1, 1, 0, 0);
    else
      world.news(0, 0, 0, 1, 0);
    world.serve();
    world.all_told();
  }
  EXPECT_EQ(world.queue->waiting(), 1u);
}

TEST(HomeQueue, everybody_expires_on_time_whatever_the_queue_waits_for) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 25}});
  world.give_back(m, {.number = 60, .attempts = 9}, world.now + 24h * 30);
  world.give_back(m, {.number = 90}, world.now);
  world.news(0, 0, 0, 1, 0);
  std::multiset<uint32_t> expired;
  while (expired.size() < 27 && world.now < io::Instant{1000s} + 24h * 6) {
    world.serve();
    for (auto& [batch, ending] : std::exchange(world.endings, {})) {
      for (const Item item : batch->items) {
        if (ending.kind == spool::OutcomeKind::deferred) {
          world.give_back(batch->mailing, item, world.now);
          continue;
        }
        EXPECT_EQ(ending.kind, spool::OutcomeKind::expired);
        EXPECT_EQ(world.now, io::Instant{1000s} + 24h * 5);
        expired.insert(item.number);
      }
      world.queue->ended();
    }
    world.news(0, 0, 0, 1, 0);
    world.serve();
    if (world.endings.empty()) world.now = world.queue->next(world.now);
  }
  EXPECT_EQ(expired.size(), 27u);
  EXPECT_EQ(world.queue->waiting(), 0u);
}

TEST(HomeQueue, a_domain_that_dns_says_does_not_exist_ends_all_at_once) {
  World world(1);
  auto none = std::make_shared<dns::HostList>();
  none->failure = dns::Failure{smtp::Result::permanent, {5, 1, 2}, "dns: no such domain"};
  none->good_until = world.now + 60s;
  world.queue->hosts_found(none, world.time());
  world.add(mailing(30), {{0, 30}});
  world.serve();
  ASSERT_EQ(world.endings.size(), 3u);
  EXPECT_EQ(world.endings[0].second.kind, spool::OutcomeKind::failed);
  EXPECT_EQ(world.endings[0].second.why->reason, "dns: no such domain");
  world.add(mailing(30), {{0, 30}});
  world.now += 61s;
  world.serve();
  EXPECT_EQ(world.finds, 1) << "the answer is old: DNS is asked again";
}

TEST(HomeQueue, hosts_are_looked_up_when_there_is_mail_and_the_answer_is_old) {
  World world(1);
  world.queue->hosts_found(two_hosts(world.now + 300s), world.time());
  world.now += 301s;
  world.serve();
  EXPECT_EQ(world.finds, 0);
  world.add(mailing(10), {{0, 10}});
  world.serve();
  world.serve();
  EXPECT_EQ(world.finds, 1);
  EXPECT_EQ(world.permits[0], 1u) << "meanwhile the old answer serves";
}

TEST(HomeQueue, a_host_that_failed_is_tried_last_and_then_probed_by_one_session) {
  World world(2);
  world.add(mailing(1000), {{0, 1000}});
  world.news(0, 2, 0, 0, 2);
  world.news(1, 2, 0, 0, 2);
  world.serve();
  SessionNews failed{.route = &world.route, .shard = 0, .open_now = 2};
  failed.hosts = {{first_host, false}};
  world.queue->session_news(failed, world.time());
  world.serve();
  for (unsigned s = 0; s < 2; ++s) {
    ASSERT_TRUE(world.plans[s].suspects);
    EXPECT_TRUE((*world.plans[s].suspects)[0]);
    EXPECT_FALSE((*world.plans[s].suspects)[1]);
    EXPECT_FALSE(world.plans[s].probe);
  }
  world.now += 61s;
  world.serve();
  EXPECT_EQ(world.plans[0].probe.has_value() + world.plans[1].probe.has_value(), 1);
  world.plans.clear();
  world.serve();
  EXPECT_TRUE(world.plans.empty()) << "nobody else goes until it reports";
  failed.hosts = {{first_host, true}};
  world.queue->session_news(failed, world.time());
  world.serve();
  EXPECT_FALSE(world.plans[0].suspects);
}

TEST(HomeQueue, a_single_block_is_split_among_the_shards_that_may_work) {
  World world(2);
  world.add(mailing(10), {{0, 10}});
  const MailingPtr big = mailing(100);
  for (uint32_t i = 0; i < 10; ++i)
    for (uint32_t j = 0; j < 4; ++j) world.give_back(big, {.number = i * 10 + j}, world.now);
  world.news(0, 2, 0, 0, 2);
  world.news(1, 2, 0, 0, 2);
  world.queue->want(0);
  world.queue->want(1);
  world.serve();
  EXPECT_EQ(world.granted[0].size(), 1u);
  EXPECT_EQ(world.granted[1].size(), 1u);
}

TEST(HomeQueue, keeps_to_the_rate) {
  World world(1);
  world.policy.rate_per_s = 10;
  world.queue.emplace(world.route, 1, InDoubtPolicy::hold);
  world.queue->hosts_found(two_hosts(), world.time());
  world.add(mailing(10'000), {{0, 10'000}});
  world.news(0, 4, 0, 0, 4);
  size_t within_100_s = 0;
  const io::Instant end = world.now + 100s;
  while (world.now < end) {
    world.queue->want(0);
    world.serve();
    within_100_s = world.numbers().size();
    world.now = std::min(end, world.queue->next(world.now));
  }
  EXPECT_GE(within_100_s, 990u);
  EXPECT_LE(within_100_s, 1010u) << "the first second's at once, then ten each";
}

TEST(HomeQueue, holds_what_it_is_told_to_and_lets_it_go_when_it_is_released) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 50}}, {.held = {{10, 5}}});
  world.give_back(m, {.number = 60}, world.now);
  world.give_back(m, {.number = 70}, world.now + 60s);
  world.steer(m, {.held = {{10, 5}, {40, 60}}});
  world.serve();
  EXPECT_EQ(world.recalls, 1);
  world.lend_all();
  world.give_back(m, {.number = 41}, world.now);  // was lent when it was held
  world.now += 61s;
  world.serve();
  std::multiset<uint32_t> expected;
  for (uint32_t n = 0; n < 40; ++n)
    if (n < 10 || n >= 15) expected.insert(n);
  EXPECT_EQ(world.numbers(), expected);
  EXPECT_EQ(world.queue->waiting(), 5u + 10 + 3);
  world.steer(m, {.held = {{10, 5}}}, {{40, 60}}, true);
  world.lend_all();
  for (uint32_t n = 40; n < 50; ++n) expected.insert(n);
  for (const uint32_t n : {41u, 60u, 70u}) expected.insert(n);
  EXPECT_EQ(world.numbers(), expected);
  EXPECT_EQ(world.queue->waiting(), 5u);
}

TEST(HomeQueue, counts_as_held_whatever_waits_to_be_released_and_nothing_else) {
  World world(1);
  spool::Progress recovered;
  recovered.apply({.recipient = 11, .attempt = 1, .kind = spool::OutcomeKind::delivered});
  const MailingPtr m = mailing(100, std::move(recovered));
  world.add(m, {{0, 50}}, {.held = {{10, 5}, {60, 20}}});
  EXPECT_EQ(world.queue->held(), 4u) << "one of the five was delivered before";
  world.give_back(m, {.number = 60}, world.now);
  world.give_back(m, {.number = 61}, world.now + 1h);
  world.give_back(m, {.number = 90}, world.now + 1h);
  world.queue->give_back(
      {.mailing = m, .item = {.number = 91}, .is_held_in_doubt = true, .due = io::never},
      world.time());
  EXPECT_EQ(world.queue->held(), 4u + 3u);
  world.steer(m, {.held = {{90, 1}}}, {{0, 90}}, true);
  EXPECT_EQ(world.queue->held(), 2u);
  world.now += 1h;
  world.serve();
  EXPECT_EQ(world.queue->held(), 2u) << "its time has come, and it is held all the same";
  world.steer(m, {}, {{0, 100}}, true);
  EXPECT_EQ(world.queue->held(), 0u);
}

TEST(HomeQueue, counts_as_backed_off_who_waits_with_others_until_a_session_proves_itself) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 50}}, {.held = {{10, 5}}});
  world.give_back(m, {.number = 60, .was_deferred = true}, world.now);
  EXPECT_EQ(world.queue->backed_off(), 0u);
  world.serve();
  world.news(0, 0, 0, 1, 0);
  EXPECT_EQ(world.queue->backed_off(), 45u) << "neither who is held, nor who counts by itself";
  world.serve();
  world.all_told();
  EXPECT_EQ(world.queue->backed_off(), 45u) << "told of";
  world.news(0, 1, 0, 0, 1);
  EXPECT_EQ(world.queue->backed_off(), 45u);
  world.news(0, 0, 1, 0, 1);
  EXPECT_EQ(world.queue->backed_off(), 0u);
}

TEST(HomeQueue, notes_each_setback_and_the_end_of_the_row_for_all_who_waited) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 50}});
  for (uint16_t setback = 1; setback <= 3; ++setback) {
    world.serve();
    world.news(0, 0, 0, 1, 0);
    world.serve();
    world.all_told();
    world.serve();
    ASSERT_EQ(world.waits.size(), setback) << "once, also for those who came back from being told";
    EXPECT_EQ(world.waits.back().attempts, setback);
    EXPECT_EQ(world.waits.back().refusals, setback);
    EXPECT_EQ(world.waits.back().at, world.time().wall);
    world.now = world.queue->next(world.now);
  }
  world.lend_all();  // a session opens: nobody is left in the queue
  EXPECT_EQ(world.queue->waiting(), 0u);
  ASSERT_EQ(world.waits.size(), 4u);
  EXPECT_EQ(world.waits.back().refusals, 0);
  EXPECT_EQ(world.waits.back().attempts, 3);
  world.news(0, 1, 1, 0, 2);
  world.serve();
  EXPECT_EQ(world.waits.size(), 4u) << "no row, no end";
}

TEST(HomeQueue, goes_on_with_the_row_of_an_earlier_run) {
  World world(1);
  world.policy.retry.connect_interval = 600s;
  const MailingPtr m = mailing(100);
  world.queue->add(m, {{0, 50}},
                   {.one = 7,
                    .attempts = 20,
                    .refusals = 3,
                    .at = world.time().wall,
                    .until = world.time().wall + 100s},
                   {}, world.time());
  EXPECT_EQ(world.queue->backed_off(), 50u);
  EXPECT_EQ(world.queue->next(world.now), world.now + 100s);
  world.now += 100s;
  world.serve();
  world.news(0, 0, 0, 1, 0);
  world.serve();
  ASSERT_EQ(world.waits.size(), 1u);
  EXPECT_EQ(world.waits[0].attempts, 21);
  EXPECT_EQ(world.waits[0].refusals, 4) << "in a row, not all there ever were";
}

TEST(HomeQueue, expires_what_is_held_as_everything_else) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 10}}, {.held = {{0, 100}}});
  world.give_back(m, {.number = 60}, world.now);
  EXPECT_EQ(world.queue->next(world.now), world.now + 24h * 5);
  world.now += 24h * 5;
  world.serve();
  size_t ended = 0;
  for (const auto& [batch, ending] : world.endings) {
    EXPECT_EQ(ending.kind, spool::OutcomeKind::expired);
    ended += batch->items.size();
  }
  EXPECT_EQ(ended, 11u);
}

TEST(HomeQueue, cancelled_recipients_end_wherever_they_wait_even_when_the_host_is_down) {
  World world(1);
  const MailingPtr m = mailing(100), other = mailing(100);
  world.add(m, {{0, 10}}, {.held = {{5, 5}}});
  world.add(other, {{0, 10}});
  world.give_back(m, {.number = 60}, world.now);
  world.give_back(m, {.number = 70}, world.now + 1h);
  world.give_back(m, {.number = 80}, io::never);
  world.steer(m, {.cancelled = {{0, 100}}});
  std::set<uint32_t> cancelled;
  for (int round = 0; round < 5; ++round) {
    world.serve();
    for (auto& [batch, ending] : std::exchange(world.endings, {})) {
      EXPECT_EQ(ending.kind, spool::OutcomeKind::cancelled);
      EXPECT_EQ(batch->mailing, m);
      for (const Item item : batch->items) EXPECT_TRUE(cancelled.insert(item.number).second);
      world.queue->ended();
    }
  }
  EXPECT_EQ(cancelled.size(), 13u);
  EXPECT_EQ(world.queue->waiting(), 10u);
}

TEST(HomeQueue, a_retry_makes_the_deferred_due_and_ends_the_back_off) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.give_back(m, {.number = 60}, world.now + 1h);
  world.give_back(m, {.number = 61}, world.now + 1h);
  world.give_back(m, {.number = 5}, world.now);
  world.news(0, 0, 0, 1, 0);
  world.serve();  // tells of it with number 5, which stays away
  world.steer(m, {}, {{60, 1}});
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{60}));
}

TEST(HomeQueue, what_may_have_arrived_goes_again_only_when_it_is_released) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.queue->give_back(
      {.mailing = m, .item = {.number = 60}, .is_held_in_doubt = true, .due = io::never},
      world.time());
  world.steer(m, {}, {{0, 100}});
  world.lend_all();
  EXPECT_TRUE(world.numbers().empty()) << "a retry is not enough";
  world.steer(m, {}, {{0, 100}}, true);
  world.lend_all();
  EXPECT_EQ(world.numbers(), (std::multiset<uint32_t>{60}));
}

TEST(HomeQueue, settles_what_an_earlier_run_left_in_doubt_before_anything_else) {
  for (const InDoubtPolicy policy : {InDoubtPolicy::hold, InDoubtPolicy::never}) {
    World world(1);
    world.queue.emplace(world.route, 1, policy);
    world.queue->hosts_found(two_hosts(), world.time());
    world.queue->give_back({.mailing = mailing(100), .item = {.number = 60}, .is_doubtful = true},
                           world.time());
    world.lend_all();
    EXPECT_TRUE(world.numbers().empty());
    ASSERT_EQ(world.endings.size(), 1u);
    EXPECT_EQ(world.endings[0].second.kind, policy == InDoubtPolicy::hold
                                                ? spool::OutcomeKind::intent
                                                : spool::OutcomeKind::in_doubt);
  }
}

TEST(HomeQueue, what_was_cancelled_while_no_engine_ran_ends_at_once_however_long_it_would_wait) {
  World world(1);
  const MailingPtr m = mailing(100);
  world.add(m, {{0, 10}}, {.cancelled = {{60, 1}}});
  world.give_back(m, {.number = 60}, world.now + 1h);
  world.serve();
  ASSERT_EQ(world.endings.size(), 1u);
  EXPECT_EQ(world.endings[0].second.kind, spool::OutcomeKind::cancelled);
}

TEST(HomeQueue, tells_of_a_delay_once_at_its_time_whatever_is_waited_for) {
  World world(1);
  world.policy.expire.warn = 4h;
  const MailingPtr m = mailing(100, {}, Notices::sender), silent = mailing(100);
  world.add(m, {{0, 10}, {20, 10}}, {.held = {{20, 10}}});
  world.add(silent, {{0, 10}});
  world.give_back(m, {.number = 60}, world.now);
  world.give_back(m, {.number = 70}, world.now + 20h);
  world.give_back(m, {.number = 80, .was_told = true}, world.now + 20h);
  world.news(0, 0, 0, 1, 0);
  const io::Instant began = world.now;
  std::map<uint32_t, io::Instant> told;
  while (world.now < began + 30h) {
    world.serve();
    for (auto& [batch, ending] : std::exchange(world.endings, {})) {
      for (const Item item : batch->items) {
        if (ending.is_delay) {
          EXPECT_EQ(batch->mailing, m);
          EXPECT_TRUE(told.emplace(item.number, world.now).second) << item.number << " twice";
        }
        world.give_back(batch->mailing, item, world.now);
      }
      world.queue->ended();
    }
    world.news(0, 0, 0, 1, 0);
    world.serve();
    if (world.endings.empty()) world.now = world.queue->next(world.now);
  }
  EXPECT_EQ(told.size(), 22u);
  for (const auto& [number, at] : told) EXPECT_EQ(at - began, 4h) << number;
  EXPECT_FALSE(told.contains(80));
}

}  // namespace
}  // namespace sluice::engine::queue
