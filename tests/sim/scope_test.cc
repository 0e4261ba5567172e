// How far a failure reaches, for every phase x what happens there x number of hosts x recipients:
// each recipient gets exactly one verdict of one attempt, the right one, and the servers know of
// nothing else.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using Action = Answer::Action;

/// What befalls a session at a phase.
struct Mishap {
  const char* name;
  Answer answer;
  Reach reach = Reach::normal;  // at `connect`
};

const Mishap of_connect[] = {
    {"refused", {}, Reach::refused},
    {"unreachable", {}, Reach::unreachable},
    {"black hole", {}, Reach::black_hole},
};
const Mishap of_replies[] = {
    {"4xx", {.reply = "451 4.3.0 later"}},   {"5xx", {.reply = "554 5.3.0 never"}},
    {"421", {.reply = "421 4.3.2 closing"}}, {"drop", {.action = Action::drop}},
    {"stall", {.action = Action::stall}},    {"garbage", {.action = Action::garbage}},
};

struct Stop {
  const char* name;
  std::span<const Mishap> mishaps = of_replies;
  Phase phase = Phase::quit;    // unless at `connect`
  bool is_before_mail = false;  // nothing was said of the message: the next host is asked
};

const Stop stops[] = {
    {.name = "connect", .mishaps = of_connect, .is_before_mail = true},
    {.name = "greeting", .phase = Phase::greeting, .is_before_mail = true},
    {.name = "ehlo", .phase = Phase::ehlo, .is_before_mail = true},
    {.name = "mail", .phase = Phase::mail},
    {.name = "rcpt", .phase = Phase::rcpt},
    {.name = "data", .phase = Phase::data},
    {.name = "final_dot", .phase = Phase::final_dot},
};

struct Case {
  const Stop& stop;
  const Mishap& mishap;
  unsigned hosts;
  bool is_last_polite;  // of the hosts
  unsigned recipients;
  bool is_shared;  // one message for all of them, in one transaction

  bool has_reply() const { return !mishap.answer.reply.empty(); }
  std::string event() const {
    if (stop.is_before_mail) return is_last_polite ? "delivered" : "deferred";
    if (mishap.answer.reply.starts_with('5')) return "failed";
    return stop.phase == Phase::final_dot && !has_reply() ? "in_doubt" : "deferred";
  }
  /// Whose word decides.
  std::string host() const { return fmt::format("mx{}.a.test", stop.is_before_mail ? hosts : 1); }
};

constexpr std::string_view policy = R"(
[destination."*".retry]
first = "1h"
[destination."*".timeout]
connect = "3s"
greeting = "3s"
ehlo = "3s"
mail = "3s"
rcpt = "3s"
data = "3s"
final_dot = "3s"
)";

std::vector<const MailServer*> add_hosts(Scenario& scenario, const Case& c) {
  std::vector<const MailServer*> servers;
  for (unsigned i = 1; i <= c.hosts; ++i) {
    const std::string name = fmt::format("mx{}.a.test", i), ip = fmt::format("192.0.2.{}", i);
    MailServer& server = scenario.add_host(name, ip);
    scenario.names.add("a.test", "MX", fmt::format("{} {}.", i, name));
    servers.push_back(&server);
    if (i == c.hosts && c.is_last_polite) continue;
    scenario.world.network().set_reach(Scenario::address(ip), c.mishap.reach);
    server.script = [&c](Phase phase, std::string_view) {
      return phase == c.stop.phase ? c.mishap.answer : Answer{};
    };
  }
  return servers;
}

void check(const Case& c) {
  SCOPED_TRACE(fmt::format("{} at {}; {} hosts, the last one {}; {} recipients of {}",
                           c.mishap.name, c.stop.name, c.hosts,
                           c.is_last_polite ? "polite" : "no better", c.recipients,
                           c.is_shared ? "one message" : "a message each"));
  Scenario scenario(policy);
  const auto servers = add_hosts(scenario, c);
  std::vector<std::string> recipients;
  for (unsigned i = 0; i < c.recipients; ++i) recipients.push_back(fmt::format("r{}@a.test", i));
  scenario.hand_off({.id = "m", .recipients = recipients, .is_shared = c.is_shared});
  scenario.start();
  scenario.run_for(std::chrono::minutes(1));

  for (const std::string& recipient : recipients) {
    const auto lines = scenario.log(recipient);
    ASSERT_EQ(lines.size(), 1u);
    const LogLine& line = lines[0];
    EXPECT_EQ(line.event, c.event()) << line.brief();
    EXPECT_EQ(line.attempt, 1u);
    EXPECT_EQ(line.host, c.host());
    const bool is_delivered = line.event == "delivered";
    ptrdiff_t taken = 0;
    for (const MailServer* server : servers)
      for (const Delivery& delivery : server->deliveries())
        taken += std::ranges::count(delivery.recipients, recipient);
    EXPECT_EQ(taken, is_delivered);
    if (is_delivered) continue;
    EXPECT_EQ(line.phase, c.stop.name);
    EXPECT_EQ(line.code != 0, c.has_reply()) << line.brief();
    EXPECT_NE(line.code == 0, line.reason.empty()) << "the peer's word or ours";
  }
  for (const MailServer* server : servers)
    EXPECT_EQ(server->violations(), std::vector<std::string>());
}

TEST(Scope, gives_every_recipient_one_verdict_in_every_combination) {
  for (const Stop& stop : stops)
    for (const Mishap& mishap : stop.mishaps)
      for (const unsigned hosts : {1u, 2u, 3u})
        for (const bool is_last_polite : {false, true})
          for (const unsigned recipients : {1u, 2u, 3u})
            for (const bool is_shared : {false, true}) {
              if (hosts == 1 && is_last_polite) continue;
              check({stop, mishap, hosts, is_last_polite, recipients, is_shared});
              if (HasFailure()) return;
            }
}

}  // namespace
}  // namespace sluice::sim
