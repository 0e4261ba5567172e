#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <list>
#include <random>
#include <vector>

#include "engine/smtp/client.h"
#include "tests/unit/engine/smtp/event_recorder.h"
#include "tests/unit/engine/smtp/model_server.h"

namespace sluice::engine::smtp {
namespace {

struct Offered {
  std::string sender;
  std::vector<std::string> recipients;
  std::vector<std::string_view> views;
  StringBody body{""};
  std::vector<std::string> results;  // of each recipient; "" when it has none
  bool is_over = false, is_returned = false;
};

// One session with a random server, to its end; the verdicts are held against what the server
// knows.
class RandomSession final : Client::Listener {
 public:
  explicit RandomSession(unsigned seed, ModelServer::Faults faults)
      : random_(seed), server_(random_, faults), wanted_(roll(7)) {}

  void run() {
    unsigned idle_turns = 0;
    for (unsigned turn = 0; !client_.is_closed(); ++turn) {
      ASSERT_LT(turn, 100000u) << "no end";
      offer();
      if (wanted_ == 0 && roll(4) == 0) client_.quit();
      bool has_moved = false;
      if (roll(2)) {
        std::string out(Client::produce_bytes_min + roll(600), '\0');
        out.resize(client_.produce(out));
        server_.hear(out);
        has_moved = !out.empty();
      } else {
        const std::string octets = server_.speak(1 + roll(roll(2) ? 5 : 300));
        client_.receive(octets);
        has_moved = !octets.empty();
      }
      ASSERT_EQ(server_.violation, "");
      idle_turns = has_moved ? 0 : idle_turns + 1;
      if (server_.is_gone() && server_.is_silent() && idle_turns > 20)
        client_.fail("connection closed by peer");
      ASSERT_LT(idle_turns, 200u) << "both wait, in stage " << name(client_.stage());
    }
    EXPECT_FALSE(client_.wants_transaction());
    for (const Offered& offered : offered_) judge(offered);
  }

  unsigned successes = 0, unknowns = 0, returns = 0, refusals = 0, splits = 0;
  const ModelServer& server() const { return server_; }

 private:
  unsigned roll(unsigned n) { return static_cast<unsigned>(random_() % n); }

  void offer() {
    while (wanted_ > 0 && client_.wants_transaction()) {
      --wanted_;
      Offered& offered = offered_.emplace_back();
      offered.sender = fmt::format("t{}@s.example", offered_.size() - 1);
      for (unsigned i = roll(5) + 1; i > 0; --i)
        offered.recipients.push_back(fmt::format("r{}@r.example", i));
      if (roll(8) == 0)
        offered.recipients[roll(static_cast<unsigned>(offered.recipients.size()))] =
            "bad one@r.example";
      if (roll(32) == 0) offered.sender += ">";
      offered.views.assign(offered.recipients.begin(), offered.recipients.end());
      offered.results.resize(offered.recipients.size());
      for (unsigned i = roll(40); i > 0; --i)
        offered.body.octets += std::string(roll(70) + 1, 'x') + "\r\n";
      offered.body.piece_bytes = roll(900) + 1;
      ASSERT_EQ(client_.offer(
                    {.sender = offered.sender, .recipients = offered.views, .body = &offered.body}),
                offered_.size() - 1);
    }
  }

  Offered& offered(TransactionNumber t) { return *std::next(offered_.begin(), t); }

  void recipient_ended(TransactionNumber t, unsigned r, const Verdict& v) override {
    EXPECT_FALSE(offered(t).is_over);
    EXPECT_EQ(offered(t).results.at(r), "") << "a second verdict";
    offered(t).results.at(r) = name(v.result);
    EXPECT_NE(v.code == 0, v.reason.empty()) << "the peer's word or ours";
  }
  void recipient_returned(TransactionNumber t, unsigned r) override {
    EXPECT_FALSE(offered(t).is_over);
    EXPECT_EQ(offered(t).results.at(r), "") << "verdict and return";
    offered(t).results.at(r) = "returned";
  }
  void transaction_ended(TransactionNumber t) override {
    EXPECT_FALSE(std::exchange(offered(t).is_over, true));
    EXPECT_EQ(t, ended_++) << "out of order";
    if (roll(2)) offer();
  }
  void dot_withheld(TransactionNumber) override { ADD_FAILURE() << "nobody asked"; }
  void transaction_returned(TransactionNumber t) override {
    EXPECT_EQ(offered(t).results, std::vector<std::string>(offered(t).results.size()))
        << "verdict and return";
    EXPECT_FALSE(std::exchange(offered(t).is_over, true));
    offered(t).is_returned = true;
    EXPECT_EQ(t, ended_++) << "out of order";
  }
  void session_opened() override { EXPECT_FALSE(std::exchange(is_opened_, true)); }
  void session_failed(const Verdict& v) override {
    EXPECT_FALSE(std::exchange(has_failed_, true));
    EXPECT_EQ(ended_, offered_.size());
    EXPECT_NE(v.result, Result::success);
  }

  void judge(const Offered& offered) {
    EXPECT_TRUE(offered.is_over);
    const auto found = server_.mails.find(offered.sender);
    const ModelServer::Mail mail =
        found == server_.mails.end() ? ModelServer::Mail() : found->second;
    if (mail.dot_class) {
      EXPECT_EQ(mail.content, offered.body.octets);
    }
    returns += offered.is_returned;
    if (offered.is_returned) {
      EXPECT_EQ(mail.content, "");
      EXPECT_EQ(mail.dot_class, 0);
      return;
    }
    for (size_t i = 0; i < offered.recipients.size(); ++i) {
      const std::string& result = offered.results[i];
      const auto rcpt = mail.recipients.find(offered.recipients[i]);
      const char rcpt_class = rcpt == mail.recipients.end() ? 0 : rcpt->second;
      const bool is_taken = rcpt_class == '2' && mail.dot_class == '2';
      const bool is_bad_here =
          offered.sender.ends_with('>') || offered.recipients[i].starts_with("bad one");
      if (result == "success") {
        EXPECT_TRUE(is_taken);
      }
      if (is_taken) {
        EXPECT_TRUE(result == "success" || result == "unknown") << result;
      }
      if (result == "permanent" && !server_.has_spoken_out_of_turn()) {
        EXPECT_TRUE(is_bad_here || mail.mail_class == '5' || rcpt_class == '5' ||
                    mail.data_class == '5' || mail.dot_class == '5' || mail.was_refused_early);
      }
      if (is_bad_here && result != "transient") {
        EXPECT_EQ(result, "permanent");
      }
      // Octets that the server had not read when it went may have held the dot.
      if (result == "unknown") {
        EXPECT_TRUE(mail.data_class == '3' && rcpt_class == '2');
      }
      if (result == "returned" && !server_.has_spoken_out_of_turn()) {
        EXPECT_EQ(rcpt_class, '+');
      }
      EXPECT_NE(result, "") << "no verdict";
      splits += result == "returned";
      successes += result == "success";
      unknowns += result == "unknown";
      refusals += result == "permanent" || result == "transient";
    }
  }

  std::mt19937 random_;
  ModelServer server_;
  unsigned wanted_;
  Client client_{"me.example", *this};
  std::list<Offered> offered_;
  size_t ended_ = 0;
  bool is_opened_ = false, has_failed_ = false;
};

unsigned first_seed() {
  const char* const text = std::getenv("SLUICE_TEST_SEED");
  return text ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : 1;
}

TEST(SmtpClientProperty, every_recipient_gets_one_verdict_and_it_is_what_the_server_knows) {
  unsigned successes = 0, unknowns = 0, returns = 0, refusals = 0, splits = 0, window = 0;
  for (unsigned seed = first_seed(), end = seed + 6000; seed < end; ++seed) {
    SCOPED_TRACE(fmt::format("SLUICE_TEST_SEED={}", seed));
    RandomSession session(seed, {});
    session.run();
    successes += session.successes;
    unknowns += session.unknowns;
    returns += session.returns;
    refusals += session.refusals;
    splits += session.splits;
    window = std::max(window, session.server().commands_unanswered_most);
    if (HasFailure()) return;
  }
  // The scenarios do go everywhere.
  EXPECT_GT(successes, 1000u);
  EXPECT_GT(unknowns, 50u);
  EXPECT_GT(returns, 500u);
  EXPECT_GT(refusals, 1000u);
  EXPECT_GT(splits, 500u);
  // The dot, MAIL, five RCPT and DATA.
  EXPECT_EQ(window, 8u);
}

TEST(SmtpClientProperty, delivers_all_to_a_server_without_faults) {
  unsigned successes = 0, splits = 0;
  for (unsigned seed = first_seed(), end = seed + 500; seed < end; ++seed) {
    SCOPED_TRACE(fmt::format("SLUICE_TEST_SEED={}", seed));
    RandomSession session(
        seed, {.refused = 0, .closing = 0, .nonsense = 0, .dropped = 0, .out_of_turn = 0});
    session.run();
    successes += session.successes;
    splits += session.splits;
    EXPECT_EQ(session.unknowns + session.returns, 0u);
    if (HasFailure()) return;
  }
  EXPECT_GT(successes, 2000u);
  EXPECT_GT(splits, 100u);
}

}  // namespace
}  // namespace sluice::engine::smtp
