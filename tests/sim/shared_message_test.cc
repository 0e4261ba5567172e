// A message that is the same for all goes to many recipients in one transaction, and each of them
// has an end of its own.

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
using std::chrono::minutes;
using std::chrono::seconds;

std::vector<std::string> many(size_t count) {
  std::vector<std::string> recipients;
  for (size_t i = 0; i < count; ++i) recipients.push_back(fmt::format("r{:03}@a.test", i));
  return recipients;
}

/// A server on a.test that answers as `say` does, and what was said to it.
struct Receiver {
  using Say = std::function<Answer(Phase phase, const std::string& recipient, unsigned accepted)>;

  Receiver(Scenario& scenario, Say say) : server(scenario.add_host("a.test", "192.0.2.1")) {
    server.script = [this, say = std::move(say)](Phase phase, std::string_view line) {
      const size_t begin = line.find('<'), end = line.find('>');
      const std::string recipient(phase == Phase::rcpt ? line.substr(begin + 1, end - begin - 1)
                                                       : "");
      if (phase == Phase::greeting) sessions.emplace_back();
      if (phase == Phase::mail) accepted = 0, sessions.back().push_back(0);
      if (phase == Phase::block) ++contents;
      if (phase == Phase::rcpt) ++sessions.back().back();
      const Answer answer = say(phase, recipient, accepted);
      accepted += phase == Phase::rcpt && answer.action == Answer::Action::reply &&
                  (answer.reply.empty() || answer.reply[0] == '2');
      return answer;
    };
  }

  std::map<std::string, unsigned> taken() const {
    std::map<std::string, unsigned> times;
    for (const Delivery& delivery : server.deliveries())
      for (const std::string& recipient : delivery.recipients) ++times[recipient];
    return times;
  }
  unsigned transactions_most() const {
    size_t most = 0;
    for (const auto& session : sessions) most = std::max(most, session.size());
    return static_cast<unsigned>(most);
  }
  unsigned recipients_most() const {
    unsigned most = 0;
    for (const auto& session : sessions)
      for (const unsigned recipients : session) most = std::max(most, recipients);
    return most;
  }

  MailServer& server;
  std::vector<std::vector<unsigned>> sessions;  // RCPTs of each of their transactions
  unsigned accepted = 0;                        // of the last of them
  unsigned contents = 0;
};

Answer polite(Phase, const std::string&, unsigned) { return {}; }

/// Takes `limit` recipients at once, and says `reply` to all others.
Receiver::Say taking(unsigned limit, std::string reply) {
  return [limit, reply](Phase phase, const std::string&, unsigned accepted) {
    return phase == Phase::rcpt && accepted >= limit ? Answer{.reply = reply} : Answer{};
  };
}

constexpr const char* one_session = "[destination.\"*\"]\nsessions_max = 1\n";

void expect_each_once(const Scenario& scenario, const Receiver& receiver, size_t recipients) {
  EXPECT_EQ(receiver.taken().size(), recipients);
  for (const auto& [recipient, times] : receiver.taken()) EXPECT_EQ(times, 1u) << recipient;
  EXPECT_TRUE(receiver.server.violations().empty()) << receiver.server.violations()[0];
  EXPECT_EQ(scenario.totals().delivered, recipients);
}

/// Nobody was made to wait, and nobody's attempts are more than one.
void expect_all_at_first(const Scenario& scenario, size_t recipients) {
  const auto lines = scenario.log();
  EXPECT_EQ(lines.size(), recipients);
  for (const LogLine& line : lines) {
    EXPECT_EQ(line.event, "delivered") << line.recipient << " " << line.brief();
    EXPECT_EQ(line.attempt, 1u) << line.recipient;
  }
}

TEST(SharedMessage, goes_in_one_copy_to_as_many_as_the_policy_allows) {
  Scenario scenario(one_session);
  Receiver receiver(scenario, polite);
  scenario.hand_off({.id = "m", .recipients = many(250), .is_shared = true});
  scenario.start();
  ASSERT_TRUE(scenario.run_until_done(minutes(1)));
  expect_each_once(scenario, receiver, 250);
  expect_all_at_first(scenario, 250);
  ASSERT_EQ(receiver.server.deliveries().size(), 3u);
  EXPECT_EQ(receiver.server.deliveries()[0].recipients.size(), 100u);
  for (const Delivery& delivery : receiver.server.deliveries())
    EXPECT_EQ(delivery.content.find("r0"), std::string::npos) << "privacy: envelopes alone";
}

TEST(SharedMessage, is_told_for_each_with_the_phases_of_its_transaction) {
  Scenario scenario(one_session);
  Receiver receiver(scenario, [](Phase phase, const std::string& recipient, unsigned) {
    return Answer{.reply = recipient == "r000@a.test" ? "550 5.1.1 who?" : "",
                  .delay = phase == Phase::final_dot ? seconds(7) : seconds(0)};
  });
  scenario.hand_off({.id = "m", .recipients = many(3), .is_shared = true});
  scenario.start();
  ASSERT_TRUE(scenario.run_until_done(minutes(1)));
  for (const auto& recipient : many(3)) {
    const auto lines = scenario.log(recipient);
    ASSERT_EQ(lines.size(), 1u);
    const bool was_taken = recipient != "r000@a.test";
    EXPECT_EQ(lines[0].event, was_taken ? "delivered" : "failed");
    EXPECT_NEAR(lines[0].phases_s.contains("final_dot") ? lines[0].phases_s.at("final_dot") : 0,
                was_taken ? 7 : 0, 0.1);
    EXPECT_TRUE(lines[0].phases_s.contains("connect")) << "of all, not of the first one told";
  }
}

TEST(SharedMessage, is_split_where_the_peer_takes_no_more_recipients_at_once) {
  for (const char* reply : {"452 4.5.3 too many recipients", "452 too many", "552 too many",
                            "550 5.5.3 split the message"})
    for (const bool has_pipelining : {true, false})
      for (const char* in_doubt : {"resend", "hold"}) {
        SCOPED_TRACE(fmt::format("{}, {}, {}", reply, has_pipelining, in_doubt));
        Scenario scenario(fmt::format("{}[report]\nin_doubt = \"{}\"\n", one_session, in_doubt));
        Receiver receiver(scenario, taking(10, reply));
        if (!has_pipelining) receiver.server.extensions = {"8BITMIME"};
        scenario.hand_off({.id = "m", .recipients = many(150), .is_shared = true});
        scenario.start();
        ASSERT_TRUE(scenario.run_until_done(minutes(1)));
        expect_each_once(scenario, receiver, 150);
        expect_all_at_first(scenario, 150);
        EXPECT_EQ(receiver.sessions.size(), 1u) << "no reason to end it";
        EXPECT_EQ(receiver.server.deliveries().size(), 15u);
        // Two transactions were under way before the limit was known.
        ASSERT_GT(receiver.sessions[0].size(), 2u);
        for (size_t i = 2; i < receiver.sessions[0].size(); ++i)
          EXPECT_LE(receiver.sessions[0][i], 10u) << "it has learned what is taken";
      }
}

TEST(SharedMessage, keeps_the_limits_that_the_peer_tells) {
  Scenario scenario(one_session);
  Receiver receiver(scenario, taking(10, "550 5.7.1 you were told"));
  receiver.server.extensions = {"PIPELINING", "LIMITS RCPTMAX=10 MAILMAX=2"};
  scenario.hand_off({.id = "m", .recipients = many(60), .is_shared = true});
  scenario.start();
  ASSERT_TRUE(scenario.run_until_done(minutes(1)));
  expect_each_once(scenario, receiver, 60);
  expect_all_at_first(scenario, 60);
  EXPECT_EQ(receiver.recipients_most(), 10u);
  EXPECT_EQ(receiver.transactions_most(), 2u);
}

TEST(SharedMessage, is_refused_and_deferred_for_each_by_himself) {
  for (const bool has_pipelining : {true, false}) {
    SCOPED_TRACE(has_pipelining);
    Scenario scenario;
    bool is_later = false;
    Receiver receiver(scenario, [&](Phase, const std::string& recipient, unsigned) {
      if (recipient == "r003@a.test") return Answer{.reply = "550 5.1.1 who?"};
      if (recipient == "r005@a.test" && !is_later) return Answer{.reply = "450 4.2.1 busy"};
      if (recipient == "r007@a.test" && !is_later) return Answer{.reply = "452 4.2.2 full"};
      return Answer{};
    });
    if (!has_pipelining) receiver.server.extensions = {};
    scenario.hand_off({.id = "m", .recipients = many(20), .is_shared = true});
    scenario.start();
    scenario.run_for(minutes(1));
    EXPECT_EQ(receiver.taken().size(), 17u);
    EXPECT_EQ(receiver.contents, 1u);
    is_later = true;
    ASSERT_TRUE(scenario.run_until_done(hours(1)));
    expect_each_once(scenario, receiver, 19);
    EXPECT_EQ(scenario.totals().failed, 1u);
    EXPECT_EQ(scenario.log("r003@a.test").size(), 1u);
    EXPECT_EQ(scenario.log("r005@a.test").back().brief(), "delivered 2 250 2.0.0 taken");
    EXPECT_EQ(scenario.log("r007@a.test").back().brief(), "delivered 2 250 2.0.0 taken");
  }
}

TEST(SharedMessage, is_not_sent_where_all_recipients_are_refused) {
  Scenario scenario;
  Receiver receiver(scenario, [](Phase phase, const std::string&, unsigned) {
    return phase == Phase::rcpt ? Answer{.reply = "550 5.1.1 who?"} : Answer{};
  });
  scenario.hand_off({.id = "m", .recipients = many(20), .is_shared = true});
  scenario.start();
  ASSERT_TRUE(scenario.run_until_done(minutes(1)));
  EXPECT_EQ(scenario.totals().failed, 20u);
  EXPECT_EQ(receiver.contents, 0u);
}

struct Ending {
  Phase phase;
  Answer answer;
  const char* event;  // of those that were accepted
};

/// What is said to DATA and to the dot is said to all that were accepted.
TEST(SharedMessage, comes_to_the_same_for_all_that_were_accepted) {
  const Ending endings[] = {
      {Phase::data, {.reply = "451 4.3.0 later"}, "deferred"},
      {Phase::data, {.reply = "554 5.3.0 never"}, "failed"},
      {Phase::final_dot, {.reply = "451 4.3.0 later"}, "deferred"},
      {Phase::final_dot, {.reply = "554 5.7.1 spam"}, "failed"},
      {Phase::final_dot, {.reply = "421 4.3.2 going down"}, "deferred"},
      {Phase::final_dot, {.action = Answer::Action::take_and_drop}, "in_doubt"},
  };
  for (const Ending& ending : endings) {
    SCOPED_TRACE(fmt::format("{} {}", static_cast<int>(ending.phase), ending.answer.reply));
    Scenario scenario("[report]\nin_doubt = \"never\"\n");
    bool is_later = false;
    Receiver receiver(scenario, [&](Phase phase, const std::string& recipient, unsigned) {
      if (recipient == "r003@a.test") return Answer{.reply = "550 5.1.1 who?"};
      return phase == ending.phase && !is_later ? ending.answer : Answer{};
    });
    scenario.hand_off({.id = "m", .recipients = many(20), .is_shared = true});
    scenario.start();
    scenario.run_for(minutes(1));
    for (const std::string& recipient : many(20)) {
      const auto lines = scenario.log(recipient);
      ASSERT_EQ(lines.size(), 1u) << recipient;
      EXPECT_EQ(lines[0].event, recipient == "r003@a.test" ? "failed" : ending.event);
      EXPECT_EQ(lines[0].attempt, 1u);
    }
    is_later = true;
    ASSERT_TRUE(scenario.run_until_done(hours(2)));
    const bool is_deferred = std::string_view(ending.event) == "deferred";
    EXPECT_EQ(scenario.totals().delivered, is_deferred ? 19u : 0u);
    EXPECT_EQ(scenario.totals().in_doubt, ending.answer.reply.empty() ? 19u : 0u);
  }
}

TEST(SharedMessage, loses_nobody_when_the_peer_closes_in_the_middle_of_the_envelope) {
  for (const char* reply : {"421 4.3.2 going down", ""}) {
    SCOPED_TRACE(reply);
    Scenario scenario;
    bool is_later = false;
    Receiver receiver(scenario, [&](Phase, const std::string& recipient, unsigned) {
      if (recipient != "r010@a.test" || is_later) return Answer{};
      if (*reply == '\0') return Answer{.action = Answer::Action::drop};
      return Answer{.reply = reply};
    });
    scenario.hand_off({.id = "m", .recipients = many(20), .is_shared = true});
    scenario.start();
    scenario.run_for(minutes(1));
    EXPECT_EQ(receiver.contents, 0u);
    is_later = true;
    ASSERT_TRUE(scenario.run_until_done(hours(1)));
    expect_each_once(scenario, receiver, 20);
  }
}

/// Nobody of a transaction is sent to again when it may have arrived, and everybody else is.
TEST(SharedMessage, is_in_doubt_for_all_of_the_transaction_after_a_kill_and_for_nobody_else) {
  for (const bool is_power : {false, true}) {
    Scenario scenario(fmt::format("{}[report]\nin_doubt = \"never\"\n", one_session));
    bool was_taken = false;
    Receiver receiver(scenario, [&](Phase phase, const std::string& recipient, unsigned) {
      if (recipient == "r003@a.test" && !was_taken) return Answer{.reply = "450 4.2.1 busy"};
      was_taken |= phase == Phase::final_dot;
      return Answer{};
    });
    scenario.hand_off({.id = "m", .recipients = many(150), .is_shared = true});
    scenario.start();
    ASSERT_TRUE(scenario.run_until([&] { return was_taken; }, seconds(5)));
    is_power ? scenario.lose_power() : scenario.kill();
    scenario.run_for(seconds(10));
    scenario.start();
    ASSERT_TRUE(scenario.run_until_done(hours(1)));
    EXPECT_EQ(scenario.totals().in_doubt, 99u);
    EXPECT_EQ(scenario.totals().delivered, 51u);
    EXPECT_EQ(receiver.taken().size(), 150u);
    for (const auto& [recipient, times] : receiver.taken()) EXPECT_EQ(times, 1u) << recipient;
  }
}

/// What needs SMTPUTF8 shares no transaction with what does not.
TEST(SharedMessage, reaches_others_where_the_peer_lacks_SMTPUTF8_for_some) {
  Scenario scenario;
  Receiver receiver(scenario, polite);
  receiver.server.extensions = {"PIPELINING"};
  scenario.hand_off(
      {.id = "m", .recipients = {"r0@a.test", "r\u00e9@a.test", "r2@a.test"}, .is_shared = true});
  scenario.start();
  ASSERT_TRUE(scenario.run_until_done(minutes(1)));
  expect_each_once(scenario, receiver, 2);
  EXPECT_EQ(scenario.log("r\u00e9@a.test").back().brief(),
            "failed 1 mail: server does not offer SMTPUTF8");
}

/// The notice returns what it read of the message; the content is read from its beginning all the
/// same.
TEST(SharedMessage, is_told_to_its_sender_for_who_failed_and_reaches_the_others_whole) {
  for (const std::vector<std::string>& failing :
       {std::vector<std::string>{"r002@a.test"}, {"r001@a.test", "r003@a.test"}}) {
    Scenario scenario(one_session);
    Receiver receiver(scenario, [&](Phase, const std::string& recipient, unsigned) {
      return std::ranges::count(failing, recipient) ? Answer{.reply = "550 5.1.1 who?"} : Answer{};
    });
    MailServer& sender = scenario.add_host("client.test", "192.0.2.2");
    scenario.hand_off({.id = "m",
                       .recipients = many(4),
                       .bytes = 100'000,
                       .notices = engine::Notices::sender,
                       .is_shared = true});
    scenario.start();
    ASSERT_TRUE(scenario.run_until([&] { return !sender.deliveries().empty(); }, hours(1)));
    for (const std::string& failed : failing)
      EXPECT_NE(sender.deliveries()[0].content.find(failed), std::string::npos) << failed;
    ASSERT_EQ(receiver.server.deliveries().size(), 1u);
    EXPECT_TRUE(receiver.server.deliveries()[0].content.starts_with("From: News"));
    EXPECT_GT(receiver.server.deliveries()[0].content.size(), 100'000u);
  }
}

}  // namespace
}  // namespace sluice::sim
