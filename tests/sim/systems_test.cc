// What each system that Sluice started from does, and was told to do better:
//
//   EmfGateway          a deadline for every phase, failover, phases told apart in the log
//   ExchangeX400        connection and transfer failures counted and spaced apart
//   SunMessagingServer  a record for each attempt, and how the reason changed between them
//   DeliveryFaq         a backlog that its next hop kept waiting
//   ExchangeEtrn        mail that is held until it is asked for, and nobody asks

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// What a clock at the machine shows at most beyond a deadline: the way of a few packets and a tick
/// of the engine's timers.
constexpr double clock_error_s = 0.05;

double in_seconds(io::Duration duration) { return std::chrono::duration<double>(duration).count(); }

using Lines = std::vector<std::string>;

Lines brief(const std::vector<LogLine>& log) {
  Lines lines;
  for (const LogLine& line : log) lines.push_back(line.brief());
  return lines;
}

// --- EMF mail gateway ---

struct Deadline {
  const char* phase;  // as configuration and log call it
  seconds by_default;
  /// Makes `server` at `address` go silent in that phase.
  void (*silence)(World& world, MailServer& server, const io::SocketAddress& address);
  bool before_mail = false;  // nothing of the message was said: the next host gets it
};

template <Phase phase>
void stall_at(World&, MailServer& server, const io::SocketAddress&) {
  server.script = [](Phase now, std::string_view) {
    return Answer{.action = now == phase ? Answer::Action::stall : Answer::Action::reply};
  };
}

void swallow_connects(World& world, MailServer&, const io::SocketAddress& address) {
  world.network().set_reach(address, Reach::black_hole);
}

void cut_in_content(World& world, MailServer& server, const io::SocketAddress& address) {
  server.script = [&world, address](Phase now, std::string_view) {
    if (now == Phase::block) world.network().cut(address);
    return Answer{};
  };
}

/// RFC 5321 section 4.5.3.2, and what the contract says where it is silent.
constexpr Deadline deadlines[] = {
    {"connect", seconds(30), swallow_connects, true},
    {"greeting", minutes(5), stall_at<Phase::greeting>, true},
    {"ehlo", minutes(5), stall_at<Phase::ehlo>, true},
    {"mail", minutes(5), stall_at<Phase::mail>},
    {"rcpt", minutes(5), stall_at<Phase::rcpt>},
    {"data", minutes(2), stall_at<Phase::data>},
    {"block", minutes(3), cut_in_content},
    {"final_dot", minutes(10), stall_at<Phase::final_dot>},
};

/// More than any network holds.
constexpr size_t long_message_bytes = 400'000;

void expect_deadline(const Deadline& deadline, seconds configured, std::string_view toml) {
  SCOPED_TRACE(fmt::format("{} {} s", deadline.phase, configured.count()));
  Scenario scenario(toml);
  MailServer& server = scenario.add_host("mx.a.test", "192.0.2.1");
  scenario.names.add("a.test", "MX", "10 mx.a.test.");
  deadline.silence(scenario.world, server, Scenario::address("192.0.2.1"));
  scenario.hand_off({.id = "m", .recipients = {"r@a.test"}, .bytes = long_message_bytes});
  const double began_s = in_seconds(scenario.age());
  scenario.start();
  scenario.run_for(configured + seconds(5));
  const auto lines = scenario.log("r@a.test");
  ASSERT_EQ(lines.size(), 1u);
  const LogLine& line = lines[0];
  EXPECT_EQ(line.brief(), fmt::format("{} 1 {}: timed out after {} s",
                                      line.phase == "final_dot" ? "in_doubt" : "deferred",
                                      deadline.phase, configured.count()));
  EXPECT_EQ(line.phase, deadline.phase);
  EXPECT_EQ(line.host, "mx.a.test");
  EXPECT_EQ(line.remote, "192.0.2.1:25");
  const double took_s = line.time_s - began_s;
  EXPECT_GE(took_s, in_seconds(configured));
  EXPECT_LE(took_s, in_seconds(configured) + clock_error_s);
  const double phase_s = line.phases_s.at(deadline.phase);
  EXPECT_GE(phase_s, in_seconds(configured));
  EXPECT_LE(phase_s, in_seconds(configured) + clock_error_s);
}

TEST(EmfGateway, gives_every_phase_its_own_deadline_to_the_second_and_says_which_it_was) {
  for (const Deadline& deadline : deadlines) expect_deadline(deadline, deadline.by_default, "");
}

TEST(EmfGateway, keeps_the_deadline_that_a_destination_sets_for_a_phase) {
  for (const Deadline& deadline : deadlines)
    expect_deadline(deadline, seconds(7),
                    fmt::format("[destination.\"*\".timeout]\n{0} = \"900s\"\n"
                                "[destination.\"a.test\".timeout]\n{0} = \"7s\"\n",
                                deadline.phase));
}

TEST(EmfGateway, takes_a_greeting_after_4_min_59_s_and_not_one_after_5_min_1_s) {
  for (const seconds delay : {seconds(299), seconds(301)}) {
    SCOPED_TRACE(delay.count());
    Scenario scenario;
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    server.script = [delay](Phase phase, std::string_view) {
      return Answer{.delay = phase == Phase::greeting ? delay : seconds(0)};
    };
    scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
    scenario.start();
    scenario.run_for(delay + seconds(1));
    const bool is_in_time = delay < minutes(5);
    EXPECT_EQ(server.deliveries().size(), is_in_time ? 1u : 0u);
    EXPECT_EQ(brief(scenario.log("r@a.test")),
              is_in_time ? Lines{"delivered 1 250 2.0.0 taken"}
                         : Lines{"deferred 1 greeting: timed out after 300 s"});
  }
}

TEST(EmfGateway, tells_a_connection_that_never_opened_from_a_greeting_that_never_came) {
  Scenario scenario;
  scenario.add_host("closed.test", "192.0.2.1");
  scenario.add_host("hole.test", "192.0.2.2");
  scenario.add_host("silent.test", "192.0.2.3").script = [](Phase, std::string_view) {
    return Answer{.action = Answer::Action::stall};
  };
  scenario.add_host("hasty.test", "192.0.2.4").script = [](Phase, std::string_view) {
    return Answer{.action = Answer::Action::drop};
  };
  scenario.world.network().set_reach(Scenario::address("192.0.2.1"), Reach::refused);
  scenario.world.network().set_reach(Scenario::address("192.0.2.2"), Reach::black_hole);
  scenario.hand_off(
      {.id = "m", .recipients = {"r@closed.test", "r@hole.test", "r@silent.test", "r@hasty.test"}});
  scenario.start();
  scenario.run_for(minutes(5) + seconds(1));
  const auto first = [&](const char* recipient) { return scenario.log(recipient).at(0); };
  EXPECT_EQ(first("r@closed.test").phase, "connect");
  EXPECT_EQ(first("r@closed.test").reason, "connect: connection refused");
  EXPECT_EQ(first("r@hole.test").phase, "connect");
  EXPECT_EQ(first("r@hole.test").reason, "connect: timed out after 30 s");
  EXPECT_EQ(first("r@silent.test").phase, "greeting");
  EXPECT_EQ(first("r@silent.test").reason, "greeting: timed out after 300 s");
  EXPECT_EQ(first("r@hasty.test").phase, "greeting");
  EXPECT_EQ(first("r@hasty.test").reason, "greeting: connection closed by peer");
}

/// A host that takes no session, in each way: the next one gets the message in the same attempt.
TEST(EmfGateway, goes_on_to_the_next_mx_within_the_attempt) {
  struct Failing {
    const char* how;
    Reach reach;
    Answer greeting;
    seconds after;
  };
  using Action = Answer::Action;
  const Failing ways[] = {
      {"refused", Reach::refused, {}, seconds(0)},
      {"no route", Reach::unreachable, {}, seconds(0)},
      {"no answer", Reach::black_hole, {}, seconds(30)},
      {"554", Reach::normal, {.reply = "554 5.3.2 not here"}, seconds(0)},
      {"421", Reach::normal, {.reply = "421 4.3.2 not now"}, seconds(0)},
      {"hangs up", Reach::normal, {.action = Action::drop}, seconds(0)},
      {"says nothing", Reach::normal, {.action = Action::stall}, minutes(5)},
      {"garbage", Reach::normal, {.action = Action::garbage}, seconds(0)},
  };
  for (const Failing& way : ways) {
    SCOPED_TRACE(way.how);
    Scenario scenario;
    MailServer& first = scenario.add_host("mx1.a.test", "192.0.2.1");
    MailServer& second = scenario.add_host("mx2.a.test", "192.0.2.2");
    scenario.names.add("a.test", "MX", "20 mx2.a.test.");
    scenario.names.add("a.test", "MX", "10 mx1.a.test.");
    scenario.world.network().set_reach(Scenario::address("192.0.2.1"), way.reach);
    first.script = [&way](Phase phase, std::string_view) {
      return phase == Phase::greeting ? way.greeting : Answer{};
    };
    scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
    const double began_s = in_seconds(scenario.age());
    scenario.start();
    EXPECT_TRUE(scenario.run_until_done(way.after + seconds(1)));
    EXPECT_EQ(first.deliveries().size(), 0u);
    EXPECT_EQ(second.deliveries().size(), 1u);
    const auto lines = scenario.log("r@a.test");
    ASSERT_EQ(brief(lines), Lines{"delivered 1 250 2.0.0 taken"});
    EXPECT_EQ(lines[0].host, "mx2.a.test");
    EXPECT_NEAR(lines[0].time_s - began_s, in_seconds(way.after), clock_error_s);
  }
}

// --- Exchange MTA, X.400 connector ---

constexpr std::string_view x400 =
    "[destination.\"*\".retry]\nconnect_interval = \"600s\"\nconnect_attempts_max = 144\n"
    "transfer_interval = \"120s\"\ntransfer_attempts_max = 2\n";

/// One destination behind a connector, whose host refuses connections, or takes sessions and
/// refuses to transfer.
class Connector : public Scenario {
 public:
  explicit Connector(std::string_view toml = x400) : Scenario(toml) {
    add_host("a.test", "192.0.2.1").script = [this](Phase phase, std::string_view) {
      if (phase == Phase::mail && breaks_off) return Answer{.action = Answer::Action::drop};
      return Answer{.reply = phase == Phase::rcpt && !takes_mail ? "451 4.3.0 later" : ""};
    };
    refuse();
  }
  void refuse() { world.network().set_reach(address, Reach::refused); }
  void open() { world.network().set_reach(address, Reach::normal); }
  uint64_t connects() const { return const_cast<World&>(world).network().connects(address); }
  void run_to_connect(uint64_t number) {
    EXPECT_TRUE(run_until([&] { return connects() == number; }, hours(48)));
    run_for(seconds(1));
  }

  const io::SocketAddress address = Scenario::address("192.0.2.1");
  bool takes_mail = false, breaks_off = false;
};

std::vector<std::string> many(size_t count, std::string_view domain) {
  std::vector<std::string> recipients;
  for (size_t i = 0; i < count; ++i) recipients.push_back(fmt::format("r{}@{}", i, domain));
  return recipients;
}

/// RFC 3464, to the envelope sender and from nobody.
void expect_failure_notice(const Delivery& notice, const std::vector<std::string>& recipients) {
  EXPECT_EQ(notice.sender, "");
  EXPECT_EQ(notice.recipients, Lines{"bounce@client.test"});
  EXPECT_THAT(notice.content, testing::HasSubstr("report-type=delivery-status"));
  EXPECT_THAT(notice.content, testing::HasSubstr("\r\nAction: failed\r\n"));
  for (const std::string& recipient : recipients)
    EXPECT_THAT(notice.content,
                testing::HasSubstr(fmt::format("Final-Recipient: rfc822; {}\r\n", recipient)));
}

/// `kill_at`: connections after each of which the engine is killed and started again.
void expect_failure_after_144_connections(size_t recipients, const std::vector<uint64_t>& kill_at) {
  SCOPED_TRACE(fmt::format("{} recipients, {} kills", recipients, kill_at.size()));
  Connector connector;
  connector.hand_off({.id = "m", .recipients = many(recipients, "a.test")});
  const double began_s = in_seconds(connector.age());
  connector.start();
  for (const uint64_t connect : kill_at) {
    connector.run_to_connect(connect);
    connector.kill();
    connector.run_for(seconds(20));
    connector.start();
  }
  connector.run_to(hours(24) - seconds(1));
  EXPECT_EQ(connector.totals().fates(), 0u);
  EXPECT_EQ(connector.totals().deferred, recipients) << "those that wait with others as well";
  connector.run_for(seconds(2));
  EXPECT_EQ(connector.totals().failed, recipients);
  connector.run_for(hours(24));
  EXPECT_EQ(connector.connects(), 144u);
  for (const char* recipient : {"r0@a.test", recipients > 1 ? "r1@a.test" : "r0@a.test"}) {
    const auto lines = connector.log(recipient);
    ASSERT_FALSE(lines.empty());
    const bool is_known = kill_at.empty() || kill_at.back() < 144;
    EXPECT_EQ(lines.back().brief(),
              is_known ? "failed 144 connect: connection refused"
                       : "failed 144 connect: failed as often as it may, the last time before a "
                         "restart");
    EXPECT_NEAR(lines.back().time_s - began_s, 24 * 3600, 1);
  }
}

TEST(ExchangeX400, fails_after_24_hours_and_exactly_144_connections) {
  expect_failure_after_144_connections(1, {});
  expect_failure_after_144_connections(500, {});
}

TEST(ExchangeX400, tells_the_sender_when_it_gives_up) {
  Connector connector;
  MailServer& sender = connector.add_host("client.test", "192.0.2.9");
  connector.hand_off(
      {.id = "m", .recipients = many(2, "a.test"), .notices = engine::Notices::sender});
  connector.start();
  connector.run_to(hours(24) - seconds(1));
  const size_t told_of_delay = sender.deliveries().size();
  connector.run_for(seconds(5));
  ASSERT_EQ(sender.deliveries().size(), told_of_delay + 1) << "one for both";
  expect_failure_notice(sender.deliveries().back(), many(2, "a.test"));
  EXPECT_EQ(connector.files("campaigns"), std::vector<std::string>{"m"})
      << "its summary; of notices nothing is left";
  EXPECT_EQ(connector.connects(), 144u);
}

TEST(ExchangeX400, counts_on_where_a_killed_engine_left_off) {
  expect_failure_after_144_connections(1, {70});
  expect_failure_after_144_connections(1, {1, 2, 143, 144});
  for (const uint64_t connect : {1u, 70u, 144u})
    expect_failure_after_144_connections(500, {connect});
}

/// An engine that is killed again and again, at moments that nobody chose, until `age`. Returns how
/// many of its connections a kill may have cut off before anybody knew what they came to.
unsigned live_dangerously(Connector& connector, uint64_t seed, io::Duration age) {
  std::mt19937_64 random(seed);
  const auto up_to = [&](io::Duration most) {
    return io::Duration(static_cast<int64_t>(random() % static_cast<uint64_t>(most.count())));
  };
  unsigned cut_off = 0;
  while (connector.age() < age) {
    connector.run_for(up_to(hours(2)));
    const uint64_t connects = connector.connects();
    connector.run_for(milliseconds(20));
    cut_off += connector.connects() > connects;
    connector.kill();
    connector.run_for(up_to(seconds(20)));
    connector.start();
  }
  return cut_off;
}

/// After `before` the host refuses all connections, for 500 recipients. Those that go at once with
/// the first count as one; `late`: connections that only some recipients are in time for.
void expect_144_connections_whenever_it_is_killed(
    unsigned late, const std::function<void(Connector& connector)>& before) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Connector connector;
    connector.hand_off({.id = "m", .recipients = many(500, "a.test")});
    connector.start();
    before(connector);
    connector.refuse();
    const uint64_t connects_before = connector.connects();
    const io::Duration began = connector.age();
    connector.run_to_connect(connects_before + 1);
    connector.run_for(milliseconds(20));
    const uint64_t beside_the_first = connector.connects() - connects_before - 1;
    EXPECT_LT(beside_the_first, 4u) << "as many sessions as a destination begins with";
    const unsigned cut_off = live_dangerously(connector, seed, began + hours(21));
    connector.run_to(began + hours(24) - seconds(1));
    EXPECT_EQ(connector.totals().fates(), 0u);
    connector.run_for(minutes(30));  // what it was down for, and what the late ones wait for
    EXPECT_EQ(connector.totals().failed, 500u);
    connector.run_for(hours(24));
    EXPECT_GE(connector.connects() - connects_before, 144u);
    EXPECT_LE(connector.connects() - connects_before, 144u + beside_the_first + cut_off + late);
  }
}

TEST(ExchangeX400, counts_on_for_500_recipients_whenever_it_is_killed) {
  expect_144_connections_whenever_it_is_killed(0, [](Connector&) {});
}

TEST(ExchangeX400, counts_on_for_500_recipients_that_were_tried_before) {
  // It took them on several sessions, so as many go at once when they are due again; those whose
  // transfer ended last are not due with the first connection, so it is not among their 144.
  expect_144_connections_whenever_it_is_killed(1, [](Connector& connector) {
    connector.open();
    EXPECT_TRUE(connector.run_until([&] { return connector.totals().deferrals == 500; }, hours(1)));
  });
}

TEST(ExchangeX400, counts_connections_anew_after_a_session_that_a_kill_follows) {
  expect_144_connections_whenever_it_is_killed(1, [](Connector& connector) {
    connector.breaks_off = true;
    connector.run_to_connect(100);
    connector.open();
    connector.run_to_connect(101);
    connector.kill();
    connector.start();
  });
}

TEST(ExchangeX400, fails_after_2_transfers_120_s_apart) {
  Connector connector;
  connector.open();
  connector.hand_off({.id = "m", .recipients = {"r@a.test"}});
  const double began_s = in_seconds(connector.age());
  connector.start();
  connector.run_for(hours(1));
  const auto lines = connector.log("r@a.test");
  EXPECT_EQ(brief(lines), (Lines{"deferred 1 451 4.3.0 later", "failed 2 451 4.3.0 later"}));
  EXPECT_NEAR(lines.back().time_s - began_s, 120, clock_error_s);
}

/// Connections that fail 143 times begin anew when one opens; the transfer that failed counts.
void expect_intermittent_failure(const std::vector<uint64_t>& kill_at) {
  SCOPED_TRACE(fmt::format("{} kills", kill_at.size()));
  Connector connector;
  connector.hand_off({.id = "m", .recipients = {"r@a.test"}});
  const double began_s = in_seconds(connector.age());
  connector.start();
  for (uint64_t connect = 1; connect <= 288; ++connect) {
    connector.run_to_connect(connect);
    if (connect % 144 == 143) connector.open();
    if (connect % 144 == 0) connector.refuse();
    if (std::ranges::find(kill_at, connect) == kill_at.end()) continue;
    connector.kill();
    connector.start();
  }
  connector.run_for(hours(48));
  EXPECT_EQ(connector.connects(), 288u);
  const auto lines = connector.log("r@a.test");
  ASSERT_EQ(lines.size(), 288u);
  for (size_t i = 0; i < lines.size(); ++i)
    EXPECT_EQ(lines[i].brief(),
              fmt::format("{} {} {}", i == 287 ? "failed" : "deferred", i + 1,
                          i % 144 == 143 ? "451 4.3.0 later" : "connect: connection refused"));
  EXPECT_NEAR(lines.back().time_s - began_s, 2 * 143 * 600 + 120, 2);
}

TEST(ExchangeX400, begins_to_count_connections_anew_after_a_session_but_not_transfers) {
  expect_intermittent_failure({});
}

TEST(ExchangeX400, tells_the_two_counts_apart_after_a_kill) {
  expect_intermittent_failure({100, 143, 144, 145, 200, 287});
}

TEST(ExchangeX400, gives_up_when_connections_fail_144_times_after_a_session) {
  Connector connector;
  connector.hand_off({.id = "m", .recipients = {"r@a.test"}});
  connector.start();
  connector.run_to_connect(100);
  connector.open();
  connector.run_to_connect(101);
  connector.refuse();
  connector.run_for(hours(48));
  EXPECT_EQ(connector.connects(), 101u + 144u);
  EXPECT_EQ(connector.log("r@a.test").back().brief(), "failed 245 connect: connection refused");
}

// --- Sun Java System Messaging Server ---

TEST(SunMessagingServer, records_each_attempt_in_order_with_the_reason_it_had) {
  Scenario scenario(
      "[destination.\"*\".retry]\nschedule = [\"10m\", \"30m\", \"1h\"]\njitter = 0.0\n");
  MailServer& server = scenario.add_host("mx.a.test", "192.0.2.1");
  scenario.names.add("a.test", "MX", "10 mx.a.test.");
  Network& network = scenario.world.network();
  network.set_reach(Scenario::address("192.0.2.1"), Reach::unreachable);
  scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
  const double began_s = in_seconds(scenario.age());
  scenario.start();
  scenario.run_for(minutes(20));
  network.set_reach(Scenario::address("192.0.2.1"), Reach::refused);
  scenario.run_for(minutes(40));
  network.set_reach(Scenario::address("192.0.2.1"), Reach::normal);
  EXPECT_TRUE(scenario.run_until_done(hours(2)));

  const auto lines = scenario.log("r@a.test");
  ASSERT_EQ(brief(lines),
            (Lines{"deferred 1 connect: no route to host", "deferred 2 connect: no route to host",
                   "deferred 3 connect: connection refused", "delivered 4 250 2.0.0 taken"}));
  const double minutes_after[] = {0, 10, 40, 100};
  for (size_t i = 0; i < lines.size(); ++i) {
    const LogLine& line = lines[i];
    EXPECT_NEAR(line.time_s - began_s, minutes_after[i] * 60, clock_error_s);
    EXPECT_EQ(line.id, lines[0].id);
    EXPECT_EQ(line.host, "mx.a.test");
    EXPECT_EQ(line.remote, "192.0.2.1:25");
    if (i + 1 < lines.size()) {
      EXPECT_NEAR(line.next_attempt_s - began_s, minutes_after[i + 1] * 60, clock_error_s);
    }
  }
  EXPECT_EQ(lines[3].phase, "final_dot");
  EXPECT_EQ(lines[3].code, 250);
  EXPECT_EQ(lines[3].local.substr(0, 9), "10.0.0.1:");
  EXPECT_EQ(lines[3].reason, "");
  EXPECT_EQ(server.deliveries().size(), 1u);
}

// --- The FAQ on SMTP delivery ---

TEST(DeliveryFaq, drains_a_backlog_in_seconds_when_its_next_hop_is_back_after_15_minutes) {
  constexpr size_t messages = 100'000;
  constexpr unsigned sessions_max = 20;
  Scenario scenario("[destination.\"*\"]\nnext_hop = [\"192.0.2.1:25\"]\n");
  MailServer& relay = scenario.add_host("relay.test", "192.0.2.1");
  const io::SocketAddress address = Scenario::address("192.0.2.1");
  Network& network = scenario.world.network();
  network.set_reach(address, Reach::black_hole);
  scenario.hand_off({.id = "m", .recipients = many(messages, "a.test")});
  scenario.start();
  scenario.run_for(minutes(15));
  EXPECT_LE(network.connects(address), 4u) << "one at a time asks whether it is back";
  EXPECT_GE(network.connects(address), 2u);
  network.set_reach(address, Reach::normal);
  EXPECT_TRUE(scenario.run_until([&] { return relay.sessions() > 0; }, minutes(30)));
  EXPECT_EQ(relay.sessions(), 1u) << "the first goes alone";
  const io::Duration noticed = scenario.age();
  EXPECT_TRUE(scenario.run_until_done(minutes(1)));
  EXPECT_LT(in_seconds(scenario.age() - noticed), 10);

  std::set<std::string> recipients;
  for (const Delivery& delivery : relay.deliveries())
    recipients.insert(delivery.recipients.begin(), delivery.recipients.end());
  EXPECT_EQ(relay.deliveries().size(), messages);
  EXPECT_EQ(recipients.size(), messages) << "none twice";
  EXPECT_EQ(relay.sessions_most(), sessions_max);
  EXPECT_TRUE(relay.violations().empty());
}

// --- Exchange Internet Mail Service, ETRN ---

std::string holding(std::string_view hold) {
  return fmt::format(
      "[destination.\"a.test\"]\nhold = \"{}\"\n"
      "[destination.\"*\".expire]\nnormal = \"48h\"\nurgent = \"12h\"\nnon_urgent = \"72h\"\n"
      "warn = \"\"\n",
      hold);
}

/// Three messages for a destination that is held, one of each class.
void hand_off_one_of_each_class(Scenario& scenario) {
  using engine::Priority;
  const std::pair<const char*, Priority> classes[] = {
      {"urgent", Priority::urgent}, {"normal", Priority::normal}, {"low", Priority::non_urgent}};
  for (const auto& [id, priority] : classes)
    scenario.hand_off({.id = id,
                       .recipients = {fmt::format("{}@a.test", id)},
                       .priority = priority,
                       .notices = engine::Notices::sender});
}

TEST(ExchangeEtrn, held_mail_expires_at_the_time_of_its_class_and_the_sender_is_told) {
  for (const char* hold : {"manual", "etrn"})
    for (const bool is_killed : {false, true}) {
      SCOPED_TRACE(fmt::format("{}{}", hold, is_killed ? ", killed" : ""));
      Scenario scenario(holding(hold));
      scenario.add_host("a.test", "192.0.2.1");
      MailServer& sender = scenario.add_host("client.test", "192.0.2.9");
      hand_off_one_of_each_class(scenario);
      scenario.start();
      size_t told = 0;
      for (const auto& [id, after] : {std::pair("urgent", 12), {"normal", 48}, {"low", 72}}) {
        SCOPED_TRACE(id);
        scenario.run_to(hours(after) - seconds(1));
        if (is_killed) {
          scenario.kill();
          scenario.start();
          scenario.run_for(milliseconds(100));
        }
        EXPECT_EQ(sender.deliveries().size(), told);
        scenario.run_to(hours(after) + seconds(3));
        ASSERT_EQ(sender.deliveries().size(), ++told);
        const std::string recipient = fmt::format("{}@a.test", id);
        expect_failure_notice(sender.deliveries().back(), {recipient});
        const auto lines = scenario.log(recipient);
        ASSERT_FALSE(lines.empty());
        EXPECT_EQ(lines.back().event, "expired");
        EXPECT_NEAR(lines.back().time_s, after * 3600, 0.1);
      }
      EXPECT_EQ(scenario.world.network().connects(Scenario::address("192.0.2.1")), 0u);
    }
}

TEST(ExchangeEtrn, released_mail_is_delivered_at_once) {
  for (const char* hold : {"manual", "etrn"}) {
    SCOPED_TRACE(hold);
    Scenario scenario(holding(hold));
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    MailServer& sender = scenario.add_host("client.test", "192.0.2.9");
    hand_off_one_of_each_class(scenario);
    scenario.start();
    scenario.run_for(hours(20));
    EXPECT_EQ(server.deliveries().size(), 0u);
    scenario.say({.action = engine::queue::Rule::Action::release, .destination = "a.test"});
    scenario.run_for(seconds(1));
    EXPECT_EQ(server.deliveries().size(), 2u) << "all but the urgent one, whose time was over";
    scenario.hand_off({.id = "later", .recipients = {"later@a.test"}});
    scenario.run_for(hours(24));
    EXPECT_EQ(server.deliveries().size(), 2u) << "the hold is still in force";
    EXPECT_EQ(sender.deliveries().size(), 1u);
  }
}

TEST(ExchangeEtrn, what_an_operator_holds_waits_until_he_releases_it) {
  using Action = engine::queue::Rule::Action;
  Scenario scenario;
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  MailServer& other = scenario.add_host("b.test", "192.0.2.2");
  scenario.start();
  scenario.say({.action = Action::hold, .destination = "a.test"});
  scenario.run_for(seconds(1));
  scenario.hand_off({.id = "m", .recipients = {"r@a.test", "r@b.test"}});
  scenario.run_for(hours(1));
  scenario.kill();
  scenario.start();
  scenario.run_for(hours(1));
  EXPECT_EQ(server.deliveries().size(), 0u);
  EXPECT_EQ(other.deliveries().size(), 1u);
  scenario.say({.action = Action::release, .destination = "a.test"});
  scenario.run_for(seconds(1));
  EXPECT_EQ(server.deliveries().size(), 1u);
}

TEST(ExchangeEtrn, an_engine_that_is_to_run_until_empty_does_not_wait_for_held_mail) {
  using Action = engine::queue::Rule::Action;
  Scenario scenario(std::string(holding("manual")));
  scenario.add_host("a.test", "192.0.2.1");
  MailServer& other = scenario.add_host("b.test", "192.0.2.2");
  other.script = [first = true](Phase phase, std::string_view) mutable {
    const bool is_deferred = phase == Phase::rcpt && std::exchange(first, false);
    return Answer{.reply = is_deferred ? "451 4.3.0 later" : ""};
  };
  scenario.hand_off({.id = "m", .recipients = {"r@a.test", "s@a.test", "r@b.test"}});
  scenario.start(true);
  scenario.run_for(minutes(1));
  EXPECT_FALSE(scenario.has_stopped()) << "one is deferred";
  EXPECT_EQ(scenario.totals().held, 2u);
  EXPECT_TRUE(scenario.run_until([&] { return scenario.has_stopped(); }, hours(1)));
  EXPECT_EQ(scenario.totals().delivered, 1u);
  EXPECT_EQ(scenario.totals().held, 2u);
  scenario.kill();
  scenario.say({.action = Action::release, .campaign = "m"});
  scenario.start(true);
  EXPECT_TRUE(scenario.run_until([&] { return scenario.has_stopped(); }, minutes(1)));
  EXPECT_EQ(scenario.totals().delivered, 3u);
  EXPECT_EQ(scenario.totals().held, 0u);
}

TEST(ExchangeEtrn, what_is_held_while_it_waits_for_another_attempt_is_held) {
  using Action = engine::queue::Rule::Action;
  Scenario scenario("[report]\nin_doubt = \"hold\"\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  server.script = [](Phase phase, std::string_view) {
    return Answer{.reply = phase == Phase::rcpt ? "451 4.3.0 later" : ""};
  };
  scenario.hand_off({.id = "m", .recipients = {"r@a.test", "s@a.test"}});
  scenario.start(true);
  EXPECT_TRUE(scenario.run_until([&] { return scenario.totals().deferred == 2; }, minutes(1)));
  scenario.say({.action = Action::hold, .campaign = "m"});
  EXPECT_TRUE(scenario.run_until([&] { return scenario.has_stopped(); }, seconds(1)));
  EXPECT_EQ(scenario.totals().held, 2u);
}

TEST(ExchangeEtrn, rules_go_a_day_after_they_were_said_when_they_have_no_effect) {
  using Action = engine::queue::Rule::Action;
  Scenario scenario("[destination.\"*\".expire]\nnormal = \"10d\"\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  scenario.start();
  scenario.say({.action = Action::hold, .destination = "a.test"});
  scenario.run_for(seconds(1));
  scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
  scenario.run_for(hours(72));
  EXPECT_EQ(scenario.files("rules").size(), 1u) << "it is for mail that comes later, too";
  scenario.say({.action = Action::release, .destination = "a.test"});
  scenario.run_for(hours(23));
  EXPECT_EQ(server.deliveries().size(), 1u);
  EXPECT_EQ(scenario.files("rules").size(), 1u) << "the hold was taken back";
  scenario.run_for(hours(4));
  EXPECT_TRUE(scenario.files("rules").empty());
  scenario.lose_power();
  scenario.start();
  scenario.hand_off({.id = "n", .recipients = {"s@a.test"}});
  scenario.run_for(minutes(1));
  EXPECT_EQ(server.deliveries().size(), 2u) << "nothing holds it";
}

TEST(ExchangeEtrn, a_hold_that_was_taken_back_does_not_come_back_whatever_crashes_while_rules_go) {
  using Action = engine::queue::Rule::Action;
  for (uint64_t crash = 0; crash < 200 && !testing::Test::HasFailure(); ++crash) {
    SCOPED_TRACE(crash);
    Scenario scenario;
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    scenario.start();
    scenario.say({.action = Action::hold, .destination = "a.test"});
    scenario.say({.action = Action::release, .destination = "a.test"});
    scenario.run_for(seconds(1));
    scenario.kill();
    scenario.run_for(hours(25));
    for (int run = 0; run < 2; ++run) {
      scenario.start();
      scenario.run_for(microseconds(crash / 2 * 50));
      if (crash % 2 == 0)
        scenario.kill();
      else
        scenario.lose_power();
    }
    scenario.start();
    scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
    scenario.run_for(hours(2));
    EXPECT_EQ(server.deliveries().size(), 1u);
    EXPECT_TRUE(scenario.files("rules").empty());
  }
}

}  // namespace
}  // namespace sluice::sim
