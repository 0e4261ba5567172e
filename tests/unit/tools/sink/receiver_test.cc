#include "tools/sink/receiver.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tools/sink/content_scanner.h"

namespace sluice::tools::sink {
namespace {

std::span<const std::byte> octets(std::string_view text) { return std::as_bytes(std::span(text)); }

/// What came of feeding `parts` to a machine that answers everything at once.
struct Played {
  std::string replies;
  std::vector<std::string> messages;  // "sender>recipient,...|message-id|octets|content"
  bool closed = false;
};

Played play(const ReceiverOptions& options, const std::vector<std::string_view>& parts,
            engine::smtp::Stage faulty = engine::smtp::Stage::idle, std::string_view instead = {}) {
  Played played;
  Receiver receiver(options);
  const auto answer = [&] {
    const bool is_faulty = receiver.stage() == faulty;
    if (receiver.stage() == engine::smtp::Stage::block) return;
    const auto outcome =
        receiver.answer(played.replies, is_faulty ? std::optional(instead) : std::nullopt);
    played.closed |= outcome.close;
    if (!outcome.taken) return;
    std::string message = receiver.sender() + ">";
    for (const std::string& recipient : receiver.recipients()) message += recipient + ",";
    message += "|" + std::string(receiver.message_id()) + "|" +
               std::to_string(receiver.content_bytes()) + "|" + receiver.content();
    played.messages.push_back(message);
  };
  answer();
  for (std::string_view part : parts) {
    auto input = octets(part);
    while (receiver.next(input) != Receiver::Event::needs_input) answer();
  }
  return played;
}

const ReceiverOptions keeping{.hostname = "s", .extensions = {"PIPELINING"}, .keep_content = true};

constexpr std::string_view two_messages =
    "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<r1@x>\r\nRCPT TO:<\"odd>name\"@x>\r\nDATA\r\n"
    "Subject: s\r\nmessage-ID:\r\n <1@x>\r\n\r\n..stuffed\r\n.x\r\nCRLF.LF \r\n.\nno end "
    "\n.\r\n\r.\r\n"
    "\r\n\r\n.\r\n"
    "MAIL FROM:<>\r\nRCPT TO:<r2@x>\r\nDATA\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n";

constexpr std::string_view two_messages_replies =
    "220 s ESMTP Sluice sink\r\n250-s\r\n250 PIPELINING\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
    "250 2.1.5 Ok\r\n354 End with a dot\r\n250 2.0.0 Taken\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
    "354 End with a dot\r\n250 2.0.0 Taken\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n";

TEST(Receiver, begins_anew_under_tls) {
  const ReceiverOptions options{
      .hostname = "s", .extensions = {"STARTTLS", "PIPELINING"}, .has_tls = true};
  Receiver receiver(options);
  std::string replies;
  bool starts_tls = false;
  const auto say = [&](std::string_view text) {
    auto input = octets(text);
    while (receiver.next(input) != Receiver::Event::needs_input)
      starts_tls |= receiver.answer(replies).starts_tls;
  };
  receiver.answer(replies);
  say("STARTTLS\r\nEHLO c\r\nSTARTTLS now\r\n");
  EXPECT_FALSE(starts_tls);
  say("STARTTLS\r\n");
  EXPECT_TRUE(starts_tls);
  EXPECT_EQ(replies,
            "220 s ESMTP Sluice sink\r\n503 5.5.1 Not now\r\n250-s\r\n250-STARTTLS\r\n"
            "250 PIPELINING\r\n501 5.5.4 STARTTLS has no parameters\r\n220 2.0.0 Begin TLS\r\n");
  receiver.tls_started();
  replies.clear();
  say("MAIL FROM:<a@x>\r\nEHLO c\r\nSTARTTLS\r\n");
  EXPECT_EQ(replies,
            "503 5.5.1 EHLO first\r\n250-s\r\n250 PIPELINING\r\n502 5.5.1 Not offered\r\n");
}

TEST(Receiver, takes_messages_the_same_however_the_stream_is_cut) {
  const Played whole = play(keeping, {two_messages});
  EXPECT_EQ(whole.replies, two_messages_replies);
  EXPECT_TRUE(whole.closed);
  ASSERT_EQ(whole.messages.size(), 2u);
  EXPECT_EQ(whole.messages[0],
            "a@x>r1@x,\"odd>name\"@x,|<1@x>|81|Subject: s\r\nmessage-ID:\r\n <1@x>\r\n\r\n"
            ".stuffed\r\nx\r\nCRLF.LF \r\n\nno end \n.\r\n\r.\r\n\r\n\r\n");
  EXPECT_EQ(whole.messages[1], ">r2@x,||0|");
  const auto expect_same = [&](const Played& other) {
    ASSERT_EQ(other.replies, whole.replies);
    ASSERT_EQ(other.messages, whole.messages);
  };
  for (size_t cut = 1; cut < two_messages.size(); ++cut) {
    SCOPED_TRACE(cut);
    expect_same(play(keeping, {two_messages.substr(0, cut), two_messages.substr(cut)}));
    if (HasFatalFailure()) return;
  }
  for (size_t size = 1; size < 9; ++size) {
    std::vector<std::string_view> parts;
    for (size_t at = 0; at < two_messages.size(); at += size)
      parts.push_back(two_messages.substr(at, size));
    expect_same(play(keeping, parts));
  }
}

TEST(Receiver, refuses_what_is_out_of_order_or_malformed) {
  const auto replies = [](std::string_view commands) {
    return play(keeping, {commands}).replies.substr(25);  // without the greeting
  };
  EXPECT_EQ(replies("MAIL FROM:<a@x>\r\n"), "503 5.5.1 EHLO first\r\n");
  EXPECT_EQ(replies("HELO c\r\nRCPT TO:<a@x>\r\n"), "250 s\r\n503 5.5.1 MAIL first\r\n");
  EXPECT_EQ(replies("helo c\r\nmail from:<a@x>\r\ndata\r\n"),
            "250 s\r\n250 2.1.0 Ok\r\n554 5.5.1 No valid recipients\r\n");
  EXPECT_EQ(replies("HELO c\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<a@x>\r\n"),
            "250 s\r\n250 2.1.0 Ok\r\n503 5.5.1 Nested MAIL\r\n");
  EXPECT_EQ(replies("HELO c\r\nMAIL FROM:a@x\r\n"), "250 s\r\n501 5.1.3 Bad address\r\n");
  EXPECT_EQ(replies("HELO c\r\nMAIL a@x\r\n"), "250 s\r\n501 5.5.4 Bad syntax\r\n");
  EXPECT_EQ(replies("HELO c\r\nMAIL FROM:<a@x> SIZE=5\r\n"),
            "250 s\r\n555 5.5.4 Parameter not offered\r\n");
  EXPECT_EQ(replies("HELO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<>\r\n"),
            "250 s\r\n250 2.1.0 Ok\r\n501 5.1.3 Bad address\r\n");
  EXPECT_EQ(replies("EHLO\r\n"), "501 5.5.4 Say who you are\r\n");
  EXPECT_EQ(replies("XYZZY\r\n\r\n"),
            "500 5.5.2 Command unrecognised\r\n500 5.5.2 Command unrecognised\r\n");
}

TEST(Receiver, takes_parameters_of_the_extensions_it_offers) {
  const ReceiverOptions options{.hostname = "s", .extensions = {"SIZE 1000", "8bitmime"}};
  const std::string replies =
      play(options, {"EHLO c\r\nMAIL FROM:<a@x> SIZE=5 BODY=8BITMIME\r\nRSET\r\nMAIL FROM:<a@x> "
                     "SMTPUTF8\r\n"})
          .replies;
  EXPECT_EQ(replies,
            "220 s ESMTP Sluice sink\r\n250-s\r\n250-SIZE 1000\r\n250 8bitmime\r\n250 2.1.0 Ok\r\n"
            "250 2.0.0 Ok\r\n555 5.5.4 Parameter not offered\r\n");
}

TEST(Receiver, a_line_too_long_is_one_refusal_and_no_memory) {
  const std::string line = "MAIL FROM:<" + std::string(1'000'000, 'a') + ">\r\nHELO c\r\n";
  for (size_t size : {size_t{1000}, line.size()}) {
    std::vector<std::string_view> parts;
    for (size_t at = 0; at < line.size(); at += size)
      parts.push_back(std::string_view(line).substr(at, size));
    EXPECT_EQ(play(keeping, parts).replies.substr(25), "500 5.5.2 Line too long\r\n250 s\r\n");
  }
}

TEST(Receiver, a_negative_answer_takes_nothing_and_the_session_goes_on) {
  using engine::smtp::Stage;
  const auto messages = [](Stage stage, std::string_view instead) {
    return play(keeping, {two_messages}, stage, instead).messages.size();
  };
  EXPECT_EQ(messages(Stage::final_dot, "451 4.0.0 no"), 0u);
  EXPECT_EQ(messages(Stage::final_dot, "250 2.0.0 queued as 1"), 2u);
  EXPECT_EQ(messages(Stage::mail, "550 5.7.1 no"), 0u);
  EXPECT_EQ(messages(Stage::greeting, "554 5.0.0 no"), 0u);
  EXPECT_TRUE(play(keeping, {"EHLO c\r\n"}, Stage::ehlo, "421 4.0.0 bye").closed);
  const std::string refused =
      play(keeping, {"EHLO c\r\nQUIT\r\n"}, Stage::greeting, "554 no").replies;
  EXPECT_EQ(refused, "554 no\r\n503 5.5.1 No service here\r\n221 2.0.0 Bye\r\n");
}

TEST(ContentScanner, agrees_with_a_search_whatever_the_cut) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (auto n = random() % 120; n > 0; --n) text += "\r\n.xy\r\n."[random() % 8];
    const size_t found = ("\r\n" + text).find("\r\n.\r\n");
    const size_t expected = found == std::string::npos ? std::string::npos : found + 3;
    ContentScanner scanner;
    scanner.begin();
    size_t at = 0;
    bool ended = false;
    while (at < text.size() && !ended) {
      const size_t size = std::min<size_t>(1 + random() % 40, text.size() - at);
      at += scanner.scan(octets(text).subspan(at, size), ended);
    }
    ASSERT_EQ(ended ? at : std::string::npos, expected) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace sluice::tools::sink
