// More destinations than sockets: who gets one.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

/// Domains with a host each: `name`0.test and so on, at `network`.1 and so on.
std::vector<MailServer*> add_domains(Scenario& scenario, std::string_view name,
                                     std::string_view network, unsigned count) {
  std::vector<MailServer*> servers;
  for (unsigned i = 0; i < count; ++i)
    servers.push_back(&scenario.add_host(fmt::format("{}{}.test", name, i),
                                         fmt::format("{}.{}", network, i + 1)));
  return servers;
}

/// A campaign to so many recipients of each of the first `domains` of these.
void hand_off(Scenario& scenario, std::string_view name, unsigned domains, unsigned each) {
  Mail mail{.id = std::string(name), .recipients = {}};
  for (unsigned i = 0; i < domains; ++i)
    for (unsigned r = 0; r < each; ++r)
      mail.recipients.push_back(fmt::format("r{}@{}{}.test", r, name, i));
  scenario.hand_off(mail);
}

unsigned served(const std::vector<MailServer*>& servers, size_t deliveries) {
  unsigned sum = 0;
  for (const MailServer* server : servers) sum += server->deliveries().size() == deliveries;
  return sum;
}

TEST(Sockets, sessions_that_idle_make_room_for_other_destinations) {
  Scenario scenario;
  scenario.socket_slots = 8;
  constexpr unsigned domains = 100;
  const auto servers = add_domains(scenario, "d", "192.0.2", domains);
  hand_off(scenario, "d", domains, 3);
  scenario.start();
  EXPECT_TRUE(scenario.run_until([&] { return served(servers, 3) == domains; }, seconds(4)))
      << served(servers, 3) << " served before any session had idled for its 5 s";
  for (const LogLine& line : scenario.log()) EXPECT_EQ(line.event, "delivered") << line.brief();
}

TEST(Sockets, idle_sessions_of_many_destinations_are_few) {
  Scenario scenario;
  scenario.socket_slots = 160;
  constexpr unsigned domains = 100;
  const auto servers = add_domains(scenario, "d", "192.0.2", domains);
  hand_off(scenario, "d", domains, 1);
  scenario.start();
  scenario.run_for(seconds(2));
  EXPECT_EQ(served(servers, 1), domains);
  EXPECT_LE(scenario.totals().sessions, 140u / 8);
  EXPECT_GT(scenario.totals().sessions, 0u) << "more mail may come";
}

TEST(Sockets, destinations_that_hold_many_leave_some_to_those_that_have_none) {
  Scenario scenario("[destination.\"*\"]\nsessions_max = 50\n");
  scenario.socket_slots = 32;  // 28 for sessions, 21 for more than a destination's first
  const auto slow = add_domains(scenario, "slow", "198.51.100", 2);
  for (MailServer* server : slow)
    server->script = [taken = 0u](Phase phase, std::string_view) mutable {
      const bool stalls = phase == Phase::final_dot && ++taken > 60;
      return Answer{.action = stalls ? Answer::Action::stall : Answer::Action::reply};
    };
  hand_off(scenario, "slow", 2, 200);
  scenario.start();
  scenario.run_for(seconds(10));
  EXPECT_EQ(scenario.totals().sessions, 21u) << "all of them stalled";
  const auto servers = add_domains(scenario, "d", "192.0.2", 50);
  hand_off(scenario, "d", 50, 3);
  EXPECT_TRUE(scenario.run_until([&] { return served(servers, 3) == 50; }, seconds(4)))
      << served(servers, 3);
}

TEST(Sockets, a_machine_that_has_none_left_makes_no_attempt_of_anybody) {
  Scenario scenario;
  constexpr unsigned domains = 30;
  const auto servers = add_domains(scenario, "d", "192.0.2", domains);
  hand_off(scenario, "d", domains, 2);
  scenario.world.faults.socket_refused = 1;
  scenario.start();
  scenario.run_for(seconds(30));
  EXPECT_EQ(scenario.log().size(), 0u);
  scenario.world.faults.socket_refused = 0.3;
  EXPECT_TRUE(scenario.run_until([&] { return served(servers, 2) == domains; }, minutes(1)))
      << served(servers, 2);
  for (const LogLine& line : scenario.log())
    EXPECT_EQ(fmt::format("{} {}", line.event, line.attempt), "delivered 1") << line.recipient;
}

}  // namespace
}  // namespace sluice::sim
