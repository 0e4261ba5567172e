// What users of other systems complain of, each with the world in which it would show here.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

double in_seconds(io::Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::vector<std::string> many(size_t count, std::string_view domain) {
  std::vector<std::string> recipients;
  for (size_t i = 0; i < count; ++i) recipients.push_back(fmt::format("r{}@{}", i, domain));
  return recipients;
}

std::map<std::string, size_t> times_delivered(const MailServer& server) {
  std::map<std::string, size_t> times;
  for (const Delivery& delivery : server.deliveries())
    for (const std::string& recipient : delivery.recipients) ++times[recipient];
  return times;
}

MailServer::Script answering(Phase phase, Answer answer) {
  return [phase, answer](Phase now, std::string_view) { return now == phase ? answer : Answer{}; };
}

// --- Mail past its maximum age stays for days ---

struct Expiring {
  const char* waits_for;
  const char* toml;
  void (*prepare)(Scenario& scenario, MailServer& server);
  /// So many may be in a session at their time, which ends first.
  unsigned in_session_max = 0;
};

constexpr Expiring expiring[] = {
    {"its own next attempt", "[destination.\"*\".retry]\nschedule = [\"7h\"]\n",
     [](Scenario&, MailServer& server) {
       server.script = answering(Phase::rcpt, {.reply = "451 4.3.0 later"});
     }},
    {"the destination's next attempt", "[destination.\"*\".retry]\nschedule = [\"7h\"]\n",
     [](Scenario& scenario, MailServer&) {
       scenario.world.network().set_reach(Scenario::address("192.0.2.1"), Reach::refused);
     }},
    {"a name server", "[destination.\"*\".retry]\nschedule = [\"7h\"]\n",
     [](Scenario& scenario, MailServer&) {
       scenario.names.script = [](std::string_view, std::string_view) {
         return NameServer::Conduct{.action = NameServer::Action::silent};
       };
     }},
    {"the rate", "[destination.\"*\"]\nrate = \"2/d\"\n",
     [](Scenario&, MailServer& server) {
       server.script = answering(Phase::rcpt, {.reply = "451 4.3.0 later"});
     }},
    {"a session of a full destination", "[destination.\"*\"]\nsessions_max = 1\n",
     [](Scenario&, MailServer& server) {
       server.script = answering(Phase::final_dot, {.action = Answer::Action::stall});
     },
     4},
};

TEST(Complaints, mail_expires_at_its_time_whatever_it_waits_for) {
  for (const Expiring& row : expiring) {
    SCOPED_TRACE(row.waits_for);
    Scenario scenario(
        fmt::format("{}[destination.\"*\".expire]\nnormal = \"48h\"\n"
                    "urgent = \"12h\"\nnon_urgent = \"72h\"\n",
                    row.toml));
    row.prepare(scenario, scenario.add_host("a.test", "192.0.2.1"));
    scenario.hand_off({.id = "n", .recipients = many(300, "a.test")});
    scenario.hand_off(
        {.id = "u", .recipients = many(3, "a.test"), .priority = engine::Priority::urgent});
    scenario.hand_off(
        {.id = "l", .recipients = many(3, "a.test"), .priority = engine::Priority::non_urgent});
    const double began_s = in_seconds(scenario.age());
    scenario.start();
    EXPECT_TRUE(scenario.run_until_done(hours(100)));
    std::map<std::string, size_t> expired;
    unsigned late = 0;
    for (const LogLine& line : scenario.log()) {
      if (line.event != "expired") continue;
      const std::string campaign = line.campaign;
      ++expired[campaign];
      const double age_h = (line.time_s - began_s) / 3600;
      const double late_s = 3600 * (age_h - (campaign == "n" ? 48 : campaign == "u" ? 12 : 72));
      ASSERT_GE(late_s, -1) << line.recipient;
      ASSERT_LE(late_s, row.in_session_max > 0 ? 610 : 1) << line.recipient;
      late += late_s > 1;
    }
    EXPECT_LE(late, row.in_session_max);
    EXPECT_EQ(expired, (std::map<std::string, size_t>{{"n", 300}, {"u", 3}, {"l", 3}}));
  }
}

// --- All of a failed cohort comes back together ---

/// The moments spread over most of [least, most], and no twentieth of it has three times its part.
void expect_spread(std::vector<double> moments, double least, double most) {
  ASSERT_GE(moments.size(), 200u);
  std::ranges::sort(moments);
  const double width = most - least;
  EXPECT_GE(moments.front(), least - 1);
  EXPECT_LE(moments.front(), least + width / 10);
  EXPECT_GE(moments.back(), most - width / 10);
  EXPECT_LE(moments.back(), most + 1);
  for (unsigned i = 0; i < 20; ++i) {
    const double from = least + width * i / 20, to = from + width / 20;
    const auto within = std::ranges::count_if(
        moments, [&](double moment) { return moment >= from && moment < to; });
    EXPECT_LT(static_cast<size_t>(within), 3 * moments.size() / 20);
  }
}

TEST(Complaints, recipients_that_failed_together_do_not_come_back_together) {
  Scenario scenario("[destination.\"*\".retry]\nfirst = \"4h\"\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  server.script = answering(Phase::rcpt, {.reply = "451 4.3.0 later"});
  scenario.hand_off({.id = "m", .recipients = many(500, "a.test")});
  const double began_s = in_seconds(scenario.age());
  scenario.start();
  scenario.run_for(hours(1));
  server.script = nullptr;
  EXPECT_TRUE(scenario.run_until_done(hours(5)));
  std::vector<double> moments;
  for (const LogLine& line : scenario.log())
    if (line.event == "delivered") moments.push_back(line.time_s - began_s);
  EXPECT_EQ(moments.size(), 500u);
  expect_spread(moments, 4 * 3600 * 0.8, 4 * 3600 * 1.2);
}

TEST(Complaints, destinations_that_failed_together_do_not_come_back_together) {
  Scenario scenario("[destination.\"*\".retry]\nfirst = \"4h\"\n");
  MailServer& server = scenario.add_host("mx.test", "192.0.2.1");
  scenario.world.network().set_reach(Scenario::address("192.0.2.1"), Reach::unreachable);
  Mail mail{.id = "m", .recipients = {}};
  for (unsigned i = 0; i < 300; ++i) {
    scenario.names.add(fmt::format("d{}.test", i), "MX", "10 mx.test.");
    mail.recipients.push_back(fmt::format("r@d{}.test", i));
  }
  scenario.hand_off(mail);
  const double began_s = in_seconds(scenario.age());
  scenario.start();
  scenario.run_for(hours(1));
  scenario.world.network().set_reach(Scenario::address("192.0.2.1"), Reach::normal);
  EXPECT_TRUE(scenario.run_until_done(hours(5)));
  EXPECT_EQ(server.deliveries().size(), 300u);
  std::vector<double> moments;
  for (const LogLine& line : scenario.log())
    if (line.event == "delivered") moments.push_back(line.time_s - began_s);
  expect_spread(moments, 4 * 3600 * 0.8, 4 * 3600 * 1.2);
}

// --- The attempt count is guessed after a restart ---

TEST(Complaints, attempts_are_counted_on_and_waits_are_kept_over_restarts) {
  for (const bool is_refused : {false, true}) {
    SCOPED_TRACE(is_refused ? "connections refused" : "recipients refused");
    Scenario scenario(
        "[destination.\"*\".retry]\nschedule = [\"10m\", \"20m\", \"40m\"]\njitter = 0.0\n");
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    const auto address = Scenario::address("192.0.2.1");
    server.script = answering(Phase::rcpt, {.reply = "451 4.3.0 later"});
    if (is_refused) scenario.world.network().set_reach(address, Reach::refused);
    scenario.hand_off({.id = "m", .recipients = many(3, "a.test")});
    const double began_s = in_seconds(scenario.age());
    scenario.start();
    for (const minutes time : {minutes(5), minutes(15), minutes(25), minutes(50)}) {
      scenario.run_to(time);
      if (time == minutes(25))
        scenario.lose_power();
      else
        scenario.kill();
      scenario.run_for(minutes(1));
      scenario.start();
    }
    scenario.run_to(minutes(60));
    server.script = nullptr;
    scenario.world.network().set_reach(address, Reach::normal);
    EXPECT_TRUE(scenario.run_until_done(hours(1)));
    const double minutes_after[] = {0, 10, 30, 70};
    for (const std::string& recipient : many(3, "a.test")) {
      const auto lines = scenario.log(recipient);
      ASSERT_EQ(lines.size(), 4u);
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(lines[i].event, i == 3 ? "delivered" : "deferred");
        EXPECT_EQ(lines[i].attempt, i + 1);
        EXPECT_NEAR(lines[i].time_s - began_s, minutes_after[i] * 60, 1);
      }
    }
  }
}

/// A queue has nothing in it while a session waits for its greeting with all there is.
TEST(Complaints, attempts_are_counted_on_when_a_greeting_takes_minutes_to_fail) {
  Scenario scenario("[destination.\"*\".retry]\nschedule = [\"1m\"]\njitter = 0.0\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  const auto address = Scenario::address("192.0.2.1");
  scenario.world.network().set_reach(address, Reach::refused);
  scenario.hand_off({.id = "m", .recipients = {"early@a.test"}});
  scenario.start();
  scenario.run_for(seconds(150));
  server.script = answering(Phase::greeting, {.action = Answer::Action::stall});
  scenario.world.network().set_reach(address, Reach::normal);
  scenario.hand_off({.id = "n", .recipients = {"late@a.test"}});
  scenario.run_for(minutes(6));
  server.script = answering(Phase::rcpt, {.reply = "451 4.3.0 later"});
  scenario.run_for(minutes(10));
  for (const char* recipient : {"early@a.test", "late@a.test"}) {
    const auto lines = scenario.log(recipient);
    ASSERT_GE(lines.size(), 2u);
    // Not each is told: the log tells of a setback with recipients of one campaign.
    for (size_t i = 1; i < lines.size(); ++i)
      EXPECT_GT(lines[i].attempt, lines[i - 1].attempt) << recipient;
    EXPECT_LE(lines.back().attempt, 3u + 1 + 10) << "refused, no greeting, and once a minute";
  }
}

// --- Accepted by the far side, the node dies, sent twice ---

enum class End { kill, power, reset };

/// What arrived of three messages, when the final dot of the first was taken and its 250 never
/// read.
std::map<std::string, size_t> deliveries_after(Scenario& scenario, MailServer& server, End end) {
  bool was_taken = false;
  server.script = [&](Phase phase, std::string_view) {
    const bool is_first = phase == Phase::final_dot && !std::exchange(was_taken, true);
    return Answer{.action = is_first && end == End::reset ? Answer::Action::take_and_drop
                                                          : Answer::Action::reply};
  };
  scenario.hand_off({.id = "m", .recipients = {"r0@a.test"}});
  scenario.start();
  EXPECT_TRUE(scenario.run_until([&] { return was_taken; }, seconds(1)));
  EXPECT_EQ(server.deliveries().size(), 1u);
  if (end == End::kill) scenario.kill();
  if (end == End::power) scenario.lose_power();
  if (end != End::reset) {
    scenario.run_for(seconds(10));
    scenario.start();
  }
  scenario.hand_off({.id = "n", .recipients = {"r1@a.test", "r2@a.test"}});
  scenario.run_for(hours(24));
  server.script = nullptr;
  return times_delivered(server);
}

TEST(Complaints, what_may_have_arrived_is_not_sent_again_when_the_operator_says_so) {
  for (const char* policy : {"resend", "hold", "never"})
    for (const End end : {End::kill, End::power, End::reset}) {
      SCOPED_TRACE(fmt::format("{}, {}", policy, static_cast<int>(end)));
      Scenario scenario(fmt::format("[report]\nin_doubt = \"{}\"\n", policy));
      MailServer& server = scenario.add_host("a.test", "192.0.2.1");
      const auto times = deliveries_after(scenario, server, end);
      ASSERT_EQ(times.size(), 3u) << "all arrived";
      const std::string doubtful = "r0@a.test";
      const bool is_resent = std::string_view(policy) == "resend";
      for (const auto& [recipient, count] : times)
        EXPECT_EQ(count, recipient == doubtful && is_resent ? 2u : 1u) << recipient;
      const auto lines = scenario.log(doubtful);
      ASSERT_FALSE(lines.empty());
      EXPECT_EQ(lines.back().event, is_resent ? "delivered" : "in_doubt");
      EXPECT_EQ(lines.back().phase, "final_dot");
      EXPECT_EQ(scenario.totals().in_doubt, std::string_view(policy) == "never" ? 1u : 0u);
      scenario.run_for(hours(24 * 5));
      EXPECT_EQ(times_delivered(server), times);
      // Held in doubt: until somebody decides, or it expires.
      if (std::string_view(policy) == "hold") {
        EXPECT_EQ(scenario.log(doubtful).back().event, "expired");
      }
    }
}

/// The content is all sent and the intent on its way to the disk when the server breaks off.
TEST(Complaints, a_session_that_breaks_before_the_final_dot_leaves_nothing_in_doubt) {
  for (const char* policy : {"hold", "never"}) {
    SCOPED_TRACE(policy);
    Scenario scenario(fmt::format("[report]\nin_doubt = \"{}\"\n", policy));
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    server.script = [](Phase phase, std::string_view) {
      return Answer{.action = phase == Phase::block ? Answer::Action::drop : Answer::Action::reply};
    };
    scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
    scenario.start();
    scenario.run_for(minutes(1));
    ASSERT_EQ(scenario.log("r@a.test").size(), 1u);
    EXPECT_EQ(scenario.log("r@a.test")[0].event, "deferred");
    server.script = nullptr;
    scenario.kill();
    scenario.start();
    scenario.run_for(hours(1));
    EXPECT_EQ(scenario.log("r@a.test").back().brief(), "delivered 2 250 2.0.0 taken");
    EXPECT_EQ(server.deliveries().size(), 1u);
  }
}

TEST(Complaints, what_is_held_in_doubt_goes_when_it_is_released_while_no_engine_runs) {
  Scenario scenario("[report]\nin_doubt = \"hold\"\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  EXPECT_EQ(deliveries_after(scenario, server, End::kill).at("r0@a.test"), 1u);
  scenario.kill();
  const engine::queue::Rule release{.action = engine::queue::Rule::Action::release,
                                    .destination = "a.test"};
  scenario.say(release);
  scenario.start();
  scenario.run_for(minutes(1));
  EXPECT_EQ(times_delivered(server).at("r0@a.test"), 2u);
  EXPECT_EQ(scenario.log("r0@a.test").back().event, "delivered");
}

TEST(Complaints, a_release_is_of_the_doubt_that_was_there_and_of_no_later_one) {
  Scenario scenario("[report]\nin_doubt = \"hold\"\n");
  MailServer& server = scenario.add_host("a.test", "192.0.2.1");
  scenario.hand_off({.id = "m", .recipients = {"r@a.test"}});
  scenario.start();
  size_t taken = 0;
  server.script = [&](Phase phase, std::string_view) {
    taken += phase == Phase::final_dot;
    return Answer{};
  };
  for (size_t dot = 1; dot <= 2; ++dot) {
    EXPECT_TRUE(scenario.run_until([&] { return taken == dot; }, seconds(1)));
    scenario.kill();
    if (dot == 1) scenario.say({.action = engine::queue::Rule::Action::release, .campaign = "m"});
    scenario.start();
  }
  scenario.run_for(hours(1));
  EXPECT_EQ(server.deliveries().size(), 2u) << "the second doubt was not released";
  EXPECT_EQ(scenario.log("r@a.test").back().event, "in_doubt");
}

// --- A dead domain's DNS stalls all ---

TEST(Complaints, a_domain_without_dns_delays_nobody_else) {
  Scenario scenario;
  MailServer& server = scenario.add_host("mx.test", "192.0.2.1");
  scenario.names.script = [](std::string_view name, std::string_view) {
    const bool is_dead = name.starts_with("dead");
    return NameServer::Conduct{.action = is_dead ? NameServer::Action::silent
                                                 : NameServer::Action::answer};
  };
  Mail mail{.id = "m", .recipients = {}};
  for (unsigned i = 0; i < 50; ++i) mail.recipients.push_back(fmt::format("r@dead{}.test", i));
  for (unsigned i = 0; i < 50; ++i) {
    scenario.names.add(fmt::format("live{}.test", i), "MX", "10 mx.test.");
    mail.recipients.push_back(fmt::format("r@live{}.test", i));
  }
  scenario.hand_off(mail);
  scenario.start();
  scenario.run_for(seconds(1));
  EXPECT_EQ(server.deliveries().size(), 50u);
  // Nor does it delay what comes while it is being asked.
  scenario.hand_off({.id = "later", .recipients = {"s@live0.test"}});
  scenario.run_for(seconds(1));
  EXPECT_EQ(server.deliveries().size(), 51u);
  scenario.run_for(minutes(1));
  const auto lines = scenario.log("r@dead7.test");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].event, "deferred");
  EXPECT_EQ(lines[0].phase, "dns");
}

// --- Black holes hold up the healthy ---

/// Seconds until 900 healthy destinations of five recipients have their mail, beside others.
double seconds_to_deliver(unsigned black_holes) {
  Scenario scenario;
  constexpr unsigned hosts = 9, healthy = 900;
  std::vector<MailServer*> servers;
  for (unsigned h = 0; h < hosts; ++h)
    servers.push_back(
        &scenario.add_host(fmt::format("mx{}.test", h), fmt::format("192.0.2.{}", h + 1)));
  Mail mail{.id = "m", .recipients = {}};
  for (unsigned i = 0; i < black_holes; ++i) {
    const std::string ip = fmt::format("198.51.100.{}", i + 1);
    scenario.names.add(fmt::format("hole{}.test", i), "A", ip);
    scenario.world.network().set_reach(Scenario::address(ip), Reach::black_hole);
    for (const auto& r : many(5, fmt::format("hole{}.test", i))) mail.recipients.push_back(r);
  }
  for (unsigned i = 0; i < healthy; ++i) {
    const std::string domain = fmt::format("d{}.test", i);
    scenario.names.add(domain, "MX", fmt::format("10 mx{}.test.", i % hosts));
    for (const auto& r : many(5, domain)) mail.recipients.push_back(r);
  }
  scenario.hand_off(mail);
  const double began_s = in_seconds(scenario.age());
  scenario.start();
  EXPECT_TRUE(
      scenario.run_until([&] { return scenario.totals().delivered == 5 * healthy; }, minutes(1)));
  return in_seconds(scenario.age()) - began_s;
}

TEST(Complaints, a_slow_host_is_sent_to_on_all_sessions_it_may_have_whatever_the_shards) {
  for (const unsigned shards : {1u, 2u, 3u}) {
    SCOPED_TRACE(shards);
    Scenario scenario("", shards);
    MailServer& server = scenario.add_host("a.test", "192.0.2.1");
    server.script = [](Phase phase, std::string_view) {
      return Answer{.delay = phase == Phase::final_dot ? seconds(1) : seconds(0)};
    };
    scenario.hand_off({.id = "m", .recipients = many(200, "a.test")});
    scenario.start();
    // 1, 2, 4, 8 and 16 in the first five seconds, then 20 a second.
    EXPECT_TRUE(scenario.run_until([&] { return server.deliveries().size() == 200; }, seconds(18)))
        << server.deliveries().size();
    EXPECT_EQ(server.sessions_most(), 20u);
  }
}

TEST(Complaints, healthy_destinations_are_as_fast_beside_100_black_holes) {
  const double without_s = seconds_to_deliver(0), with_s = seconds_to_deliver(100);
  EXPECT_LT(with_s, 1.2 * without_s + 0.05) << without_s << " s without";
}

}  // namespace
}  // namespace sluice::sim
