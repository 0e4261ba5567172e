#include "engine/signing_desk.h"

#include <gtest/gtest.h>

#include <list>
#include <string>

#include "engine/mail/base64.h"
#include "engine/signed_content.h"
#include "io/check.h"
#include "tests/unit/engine/queue_world.h"

namespace sluice::engine {
namespace {

using namespace std::chrono_literals;

/// Each look at the clock finds that `look` has passed.
class Clockwork final : public io::Proactor {
 public:
  void submit(io::Op&) override { CHECK(false); }
  void cancel(io::Op&) override { CHECK(false); }
  unsigned wait(io::Instant, unsigned) override {
    ++turns;
    return 0;
  }
  io::Instant now() const override { return {}; }
  io::WallTime wall() const override { return wall_; }
  io::Instant clock() const override { return clock_ += look; }
  uint64_t random() override { return 0; }
  void wake(io::Proactor&) override {}
  unsigned in_flight() const override { return 0; }

  io::Duration look{};
  io::WallTime wall_{1'780'000'000s};
  unsigned turns = 0;

 private:
  mutable io::Instant clock_{};
};

/// Content of which `at_hand` octets are.
struct Text final : smtp::Body {
  bool is_ready() const override {
    return at < std::min(at_hand, octets.size()) || at == octets.size();
  }
  size_t read(std::span<char> out) override {
    const size_t size = std::min(out.size(), std::min(at_hand, octets.size()) - at);
    octets.copy(out.data(), size, at);
    at += size;
    return size;
  }
  std::string octets;
  size_t at = 0, at_hand = SIZE_MAX;
};

std::string read_all(smtp::Body& body) {
  std::string text, piece(7, '\0');
  while (const size_t size = body.read(piece)) text.append(piece, 0, size);
  return text;
}

std::vector<dkim::Signer> signers(size_t count) {
  static const dkim::KeyPtr key = dkim::Key::generate(dkim::Algorithm::ed25519_sha256, 0);
  std::vector<dkim::Signer> made;
  for (size_t i = 0; i < count; ++i)
    made.push_back({.domain = "b.example", .selector = "s" + std::to_string(i), .key = key});
  return made;
}

class SigningDeskTest : public testing::Test, public SignedContent::Owner {
 protected:
  SigningDeskTest() { desk_.set_keys(std::make_shared<dkim::Keyring>(signers(2))); }

  void read_again(SignedContent&) override {
    ++read_again_;
    text_.at = 0;
    if (merge_from_) merge_.begin(merge_from_->content, recipient_, 0);
  }
  void content_signed(SignedContent&) override { ++signed_; }

  /// What is sent of a letter.
  std::string letter(std::string octets) {
    text_ = {};
    text_.octets = std::move(octets);
    SignedContent content(desk_, *this);
    content.begin(*letters_, text_, nullptr);
    return sign(content);
  }
  /// What is sent to this recipient of a campaign.
  std::string of_campaign(const MailingPtr& mailing, std::string_view name) {
    merge_from_ = mailing;
    recipient_ = {.address = "a@x.example", .fields = {name}};
    merge_.begin(mailing->content, recipient_, 0);
    SignedContent content(desk_, *this);
    content.begin(*mailing, merge_, &merge_);
    return sign(content);
  }
  std::string sign(SignedContent& content) {
    content.ask();
    while (!content.is_signed()) desk_.turn_ended();
    EXPECT_TRUE(content.is_ready());
    return read_all(content);
  }
  static MailingPtr campaign(std::string_view message) {
    auto compiled = mail::Template::compile({.message = message,
                                             .path = "m.eml",
                                             .columns = {"email", "name"},
                                             .statistics = {{}, {100, false, true}},
                                             .sender = "a@b.example",
                                             .message_id_domain = "b.example"});
    CHECK(compiled);
    return std::make_shared<Mailing>(std::make_shared<queue::Numbers>(1), CampaignMessage{},
                                     *std::move(compiled), spool::Progress{});
  }

  Clockwork clockwork_;
  io::EventLoop loop_{clockwork_};
  report::ShardCounters counters_;
  SigningDesk desk_{loop_, counters_};
  const MailingPtr letters_ = campaign("From: a@b.example\n\nx\n");
  Text text_;
  MailingPtr merge_from_;
  Recipient recipient_;
  mail::Merge merge_;
  unsigned read_again_ = 0, signed_ = 0;
};

/// The signatures, and the message behind them.
std::pair<std::string, std::string> parted(const std::string& sent) {
  const size_t from = sent.find("\r\nFrom:") + 2;
  return {sent.substr(0, from), sent.substr(from)};
}

std::string body_hash(std::string_view wire) {
  dkim::MessageHash hash;
  hash.update(wire);
  const dkim::Digest digest = hash.finish();
  std::string code = "bh=";
  mail::append_base64(code, {reinterpret_cast<const char*>(digest.data()), digest.size()});
  return code;
}

size_t count(std::string_view text, std::string_view part) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; ++at) ++found;
  return found;
}

TEST_F(SigningDeskTest, puts_a_signature_of_each_key_before_the_message) {
  const std::string message = "From: a@b.example\r\n\r\n..x\r\n";
  const auto [signatures, sent] = parted(letter(message));
  EXPECT_EQ(sent, message);
  EXPECT_EQ(count(signatures, "DKIM-Signature:"), 2u);
  EXPECT_EQ(count(signatures, body_hash(message)), 2u);
  EXPECT_EQ(signed_, 1u);
  EXPECT_EQ(counters_.dkim_signatures[1].value(), 2u);
}

TEST_F(SigningDeskTest, leaves_a_message_alone_whose_author_has_no_key) {
  for (const std::string message :
       {"From: a@c.example\r\n\r\nx\r\n", "Subject: x\r\n\r\nFrom: a@b.example\r\n",
        "Subject: no body\r\n", "From: nobody\r\n\r\n"})
    EXPECT_EQ(letter(message), message);
  desk_.set_keys(std::make_shared<dkim::Keyring>(std::vector<dkim::Signer>{}));
  EXPECT_EQ(letter("From: a@b.example\r\n\r\n"), "From: a@b.example\r\n\r\n");
}

TEST_F(SigningDeskTest, signs_no_message_whose_header_is_an_attack) {
  std::string message = "From: a@b.example\r\n";
  for (int i = 0; i < 300; ++i) message += "To: x@y.example\r\n";
  message += "\r\nx\r\n";
  EXPECT_EQ(letter(message), message);
}

TEST_F(SigningDeskTest, waits_for_octets_that_are_not_at_hand) {
  text_.octets = "From: a@b.example\r\n\r\nbody\r\n";
  SignedContent content(desk_, *this);
  content.begin(*letters_, text_, nullptr);
  for (text_.at_hand = 0; text_.at_hand < text_.octets.size(); ++text_.at_hand) {
    content.ask();
    desk_.turn_ended();
    ASSERT_FALSE(content.is_ready());
    ASSERT_FALSE(content.is_signed());
  }
  const auto [signatures, sent] = parted(sign(content));
  EXPECT_EQ(sent, text_.octets);
  EXPECT_EQ(count(signatures, body_hash(sent)), 2u);
}

TEST_F(SigningDeskTest, hashes_what_is_the_same_for_all_once_and_right) {
  for (const std::string_view message : {
           "From: a@b.example\nSubject: {{name}}\n\n.the same\n  for all\n\n",
           "From: a@b.example\n\n.the same\n.for  {{name}}\n.the same",
           "From: a@b.example\n\n{{name}}\n",
           "From: a@b.example\n\n.\n.{{name}}",
           "From: {{name}} <a@b.example>\n\n",
           "From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; "
           "boundary=b\n\n--b\n"
           "Content-Description: {{name}}\n\nsame\n--b\n\n{{name}}\n--b--\n",
       }) {
    const MailingPtr mailing = campaign(message);
    for (const std::string_view name : {"Ann", "", ".", "two\r\n.lines", "\n\n"}) {
      if (message.find("From: {{") != message.npos && name.find('\n') != name.npos) continue;
      const auto [signatures, sent] = parted(of_campaign(mailing, name));
      EXPECT_EQ(count(signatures, body_hash(sent)), 2u) << message << name << sent;
      merge_.begin(mailing->content, recipient_, 0);
      EXPECT_EQ(sent, read_all(merge_));
    }
    EXPECT_TRUE(desk_.campaign(0).beginning);
    desk_.campaign_finished(0);
  }
}

TEST_F(SigningDeskTest, goes_on_from_what_is_the_same_for_all) {
  const MailingPtr mailing = campaign("From: a@b.example\n\nthe same\n{{name}}\n");
  of_campaign(mailing, "Ann");
  dkim::MessageHash::Body& beginning = *desk_.campaign(0).beginning;
  beginning = {};
  beginning.hash.update("another\r\n");
  const auto [signatures, sent] = parted(of_campaign(mailing, "Bob"));
  EXPECT_EQ(count(signatures, body_hash("\r\nanother\r\nBob\r\n")), 2u) << sent;
}

TEST_F(SigningDeskTest, signs_a_message_that_is_the_same_for_all_once_in_a_while) {
  const MailingPtr mailing =
      campaign("From: a@b.example\nTo: all:;\nMessage-ID: <1@b.example>\n\nx\n");
  const std::string first = of_campaign(mailing, "Ann");
  clockwork_.wall_ += SignedContent::signatures_kept - 1s;
  EXPECT_EQ(of_campaign(mailing, "Bob"), first);
  clockwork_.wall_ += 1s;
  const std::string later = of_campaign(mailing, "Cid");
  EXPECT_NE(later, first);
  EXPECT_EQ(parted(later).second, parted(first).second);
  desk_.set_keys(std::make_shared<dkim::Keyring>(signers(1)));
  EXPECT_EQ(count(of_campaign(mailing, "Dan"), "DKIM-Signature:"), 1u);
}

TEST_F(SigningDeskTest, does_no_more_in_a_turn_than_its_time_allows) {
  constexpr size_t contents = 40;
  std::list<Text> texts(contents);
  std::list<SignedContent> waiting;
  for (Text& text : texts) {
    text.octets = "From: a@b.example\r\n\r\nbody\r\n";
    waiting.emplace_back(desk_, *this).begin(*letters_, text, nullptr);
    waiting.back().ask();
  }
  clockwork_.look = 450us;
  const io::Instant begin = clockwork_.clock();
  unsigned turns = 0;
  for (io::Instant before = begin; signed_ < contents; ++turns) {
    ASSERT_LT(turns, 1000u);
    before = clockwork_.clock();
    desk_.turn_ended();
    // Two looks are ours and the first one's.
    EXPECT_LE(clockwork_.clock() - before - 2 * clockwork_.look, SigningDesk::turn_budget);
  }
  EXPECT_GE(turns, contents);  // of each there are four steps, and three go into a turn
}

TEST_F(SigningDeskTest, gets_on_however_long_a_signature_takes_and_with_those_that_are_left) {
  clockwork_.look = 1s;
  std::list<Text> texts(3);
  std::list<SignedContent> waiting;
  for (Text& text : texts) {
    text.octets = "From: a@b.example\r\n\r\nbody\r\n";
    waiting.emplace_back(desk_, *this).begin(*letters_, text, nullptr);
    waiting.back().ask();
  }
  desk_.turn_ended();
  waiting.pop_front();  // its session is gone
  for (int turn = 0; turn < 20; ++turn) desk_.turn_ended();
  EXPECT_EQ(signed_, 2u);
}

}  // namespace
}  // namespace sluice::engine
