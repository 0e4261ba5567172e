// Every combination of what a server can say to the commands of a transaction, for one to three
// recipients.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/client.h"
#include "tests/unit/engine/smtp/event_recorder.h"

namespace sluice::engine::smtp {
namespace {

enum class Say : uint8_t { granted, later, never, too_many, closing, garbage, nothing };
constexpr unsigned says = 7;

constexpr std::string_view name(Say say) {
  constexpr std::string_view names[says] = {"granted", "later",   "never",  "too many",
                                            "closing", "garbage", "nothing"};
  return names[static_cast<unsigned>(say)];
}

/// The answers of one dialogue: as far as they are written down, and `granted` beyond. next() makes
/// the next combination of those that were asked for.
class Answers {
 public:
  Say next_answer() {
    if (asked_ == written_.size()) written_.push_back(Say::granted);
    return written_[asked_++];
  }
  bool next() {
    written_.resize(asked_);
    asked_ = 0;
    while (!written_.empty() && static_cast<unsigned>(written_.back()) == says - 1)
      written_.pop_back();
    if (written_.empty()) return false;
    written_.back() = static_cast<Say>(static_cast<unsigned>(written_.back()) + 1);
    return true;
  }
  std::string text() const {
    std::string text;
    for (const Say say : written_) text += fmt::format("{}, ", name(say));
    return text;
  }

 private:
  std::vector<Say> written_;
  size_t asked_ = 0;
};

/// One transaction, to the end of its session; what the server said is noted for each of its steps.
class Dialogue final : Client::Listener {
 public:
  Dialogue(unsigned recipients, bool has_pipelining, Answers& answers)
      : answers_(answers), has_pipelining_(has_pipelining) {
    constexpr std::string_view all[] = {"x@r.example", "y@r.example", "z@r.example"};
    to_.assign(all, all + recipients);
    ends_.resize(recipients);
  }

  void run() {
    hear("220 mx");
    client_.offer({.sender = "a@s.example", .recipients = to_, .body = &body_});
    client_.quit();
    for (unsigned turn = 0; !client_.is_closed(); ++turn) {
      ASSERT_LT(turn, 100u) << "no end";
      std::string out(4096, '\0');
      out.resize(client_.produce(out));
      for (size_t end; !client_.is_closed() && (end = out.find("\r\n")) != out.npos;) {
        take(out.substr(0, end));
        out.erase(0, end + 2);
      }
    }
  }

  void judge() const {
    for (unsigned r = 0; r < to_.size(); ++r) EXPECT_EQ(ends_[r], expected(r)) << "recipient " << r;
    EXPECT_TRUE(is_over_);
  }

 private:
  void hear(std::string_view line) {
    const std::string octets = fmt::format("{}\r\n", line);
    client_.receive(octets);
  }

  void take(const std::string& line) {
    if (line.starts_with("EHLO"))
      return hear(has_pipelining_ ? "250-mx\r\n250 PIPELINING" : "250 mx");
    if (line.starts_with("RSET")) return hear("250 ok");
    if (line.starts_with("QUIT")) return hear("221 bye");
    if (line == "hello") return;
    // A lone dot, because DATA was granted though no recipient was.
    if (line == "." && granted_ == 0) return hear("554 nothing to send");
    const std::string step = line.substr(0, 4) == "RCPT" ? line.substr(9, 1) : line.substr(0, 4);
    const Say say = answers_.next_answer();
    said_[step] = say;
    if (line.starts_with("RCPT")) {
      was_granted_before_[step] = granted_ > 0;
      granted_ += say == Say::granted;
    }
    switch (say) {
      case Say::granted:  return hear(line == "DATA" ? "354 go on" : "250 ok");
      case Say::later:    return hear("450 later");
      case Say::never:    return hear("550 never");
      case Say::too_many: return hear("452 too many");
      case Say::closing:  return hear("421 closing");
      case Say::garbage:  return hear("what?");
      case Say::nothing:  return client_.fail("connection closed by peer");
    }
  }

  static bool ends_session(Say say) { return say >= Say::closing; }
  /// A refusal of the message, or of one recipient.
  static std::string refusal(Say say) { return say == Say::never ? "permanent" : "transient"; }

  std::string expected(unsigned recipient) const {
    const Say mail = said_.at("MAIL");
    if (mail != Say::granted) return refusal(mail);
    const auto rcpt = said_.find(std::string(1, to_[recipient][0]));
    if (rcpt == said_.end()) return "transient";  // the session ended before
    if (rcpt->second == Say::too_many && was_granted_before_.at(rcpt->first)) return "returned";
    if (rcpt->second != Say::granted) return refusal(rcpt->second);
    const auto data = said_.find("DATA");
    if (data == said_.end()) return "transient";
    if (data->second != Say::granted) return refusal(data->second);
    const Say dot = said_.at(".");
    if (dot == Say::granted) return "success";
    if (dot == Say::garbage || dot == Say::nothing) return "unknown";
    return refusal(dot);
  }

  void recipient_ended(TransactionNumber, unsigned r, const Verdict& v) override {
    EXPECT_EQ(ends_.at(r), "") << "a second end";
    ends_[r] = smtp::name(v.result);
  }
  void recipient_returned(TransactionNumber, unsigned r) override {
    EXPECT_EQ(ends_.at(r), "") << "a second end";
    ends_[r] = "returned";
  }
  void transaction_ended(TransactionNumber) override { is_over_ = true; }
  void transaction_returned(TransactionNumber) override { ADD_FAILURE() << "it was begun"; }
  void dot_withheld(TransactionNumber) override { ADD_FAILURE() << "nobody asked"; }
  void session_opened() override {}
  void session_failed(const Verdict&) override {}

  Answers& answers_;
  const bool has_pipelining_;
  std::vector<std::string_view> to_;
  StringBody body_{"hello\r\n"};
  Client client_{"me.example", *this};
  std::map<std::string, Say> said_;  // to MAIL, each recipient (by its first letter), DATA, the dot
  std::map<std::string, bool> was_granted_before_;
  unsigned granted_ = 0;
  std::vector<std::string> ends_;
  bool is_over_ = false;
};

TEST(SmtpClientCombination, gives_each_recipient_exactly_one_end_and_the_right_one) {
  unsigned combinations = 0;
  for (unsigned recipients = 1; recipients <= 3; ++recipients)
    for (const bool has_pipelining : {false, true}) {
      Answers answers;
      do {
        Dialogue dialogue(recipients, has_pipelining, answers);
        dialogue.run();
        dialogue.judge();
        ++combinations;
        ASSERT_FALSE(HasFailure())
            << recipients << " recipients, " << (has_pipelining ? "with" : "without")
            << " PIPELINING: " << answers.text();
      } while (answers.next());
    }
  EXPECT_GT(combinations, 3000u);
}

}  // namespace
}  // namespace sluice::engine::smtp
