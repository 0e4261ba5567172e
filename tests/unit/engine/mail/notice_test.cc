#include "engine/mail/notice.h"

#include <gmock/gmock.h>

#include <random>

#include "engine/mail/charset.h"
#include "engine/mail/harmless_text.h"
#include "engine/mail/notice_status.h"
#include "merging.h"

namespace sluice::engine::mail {
namespace {

using smtp::Stage;
using testing::HasSubstr;
using testing::Not;

io::WallTime at(int64_t s) { return io::WallTime(std::chrono::seconds(s)); }

NoticeRecipient unknown_user() {
  return {.address = "bob@example.net",
          .original_recipient = "rfc822;Bob@example.net",
          .id = "5f3a.17",
          .attempts = 1,
          .last_attempt = at(1795238864),
          .stage = Stage::rcpt,
          .host = "mx1.example.net",
          .remote = "192.0.2.7:25",
          .code = 550,
          .enhanced = {5, 1, 1},
          .text = "550-5.1.1 <bob@example.net>: user unknown\n550 5.1.1 see our page"};
}

NoticeRecipient black_hole() {
  return {.address = "eve@hole.example",
          .cause = FailureCause::expired,
          .attempts = 14,
          .last_attempt = at(1795638864),
          .retry_until = at(1795670864),
          .stage = Stage::connect,
          .host = "mx.hole.example",
          .remote = "192.0.2.9:25",
          .reason = "timed out after 30 s"};
}

struct Composing {
  NoticeKind kind = NoticeKind::failed;
  std::string to = "news@client.example";
  std::vector<NoticeRecipient> recipients = {unknown_user()};
  ReturnedMessage returned = {
      "From: News <news@client.example>\r\nMessage-ID: <1@client.example>\r\n\r\n", false};
  bool is_for_postmaster = false;
  uint64_t random = 0xabc;

  std::vector<ComposedNotice> all() const {
    return compose_notices({.kind = kind,
                            .hostname = "mta1.news.example",
                            .to = to,
                            .is_for_postmaster = is_for_postmaster,
                            .envelope_id = "QQ314159",
                            .arrival = at(1795238800),
                            .now = at(1795238900),
                            .random = random,
                            .recipients = recipients,
                            .returned = &returned});
  }
  std::string one() const {
    const auto notices = all();
    EXPECT_EQ(notices.size(), 1u);
    EXPECT_EQ(fault_of_wire(stuff_dots(notices[0].content)), "");
    return notices[0].content;
  }
};

/// Of one line, with single blanks: where lines break is not the point.
std::string flat(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool is_blank = c == ' ' || c == '\r' || c == '\n';
    if (!is_blank)
      out += c;
    else if (!out.ends_with(' '))
      out += ' ';
  }
  return out;
}

/// From `begin` up to the next empty line.
std::string group(const std::string& text, std::string_view begin) {
  const size_t at = text.find(begin);
  return at == text.npos ? "" : text.substr(at, text.find("\r\n\r\n", at) - at);
}

TEST(Notice, header_is_that_of_a_report_that_nobody_answers) {
  EXPECT_EQ(group(Composing{}.one(), "Date:"),
            "Date: Sat, 21 Nov 2026 05:28:20 +0000\r\n"
            "From: Mail Delivery System <MAILER-DAEMON@mta1.news.example>\r\n"
            "To: news@client.example\r\n"
            "Subject: Undelivered Mail Returned to Sender\r\n"
            "Message-ID: <notice.0000000000000abc.0@mta1.news.example>\r\n"
            "In-Reply-To: <1@client.example>\r\n"
            "References: <1@client.example>\r\n"
            "Auto-Submitted: auto-replied\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status;\r\n"
            " boundary=\"=_0000000000000abc.0.0\"");
}

TEST(Notice, status_has_the_fields_of_rfc_3464_in_their_order) {
  const std::string notice = Composing{}.one();
  EXPECT_EQ(group(notice, "Reporting-MTA:"),
            "Reporting-MTA: dns; mta1.news.example\r\n"
            "Original-Envelope-Id: QQ314159\r\n"
            "Arrival-Date: Sat, 21 Nov 2026 05:26:40 +0000");
  EXPECT_EQ(group(notice, "Original-Recipient:"),
            "Original-Recipient: rfc822; Bob@example.net\r\n"
            "Final-Recipient: rfc822; bob@example.net\r\n"
            "Action: failed\r\n"
            "Status: 5.1.1\r\n"
            "Remote-MTA: dns; mx1.example.net\r\n"
            "Diagnostic-Code: smtp; 550-5.1.1 <bob@example.net>: user unknown\r\n"
            " 550 5.1.1 see our page\r\n"
            "Last-Attempt-Date: Sat, 21 Nov 2026 05:27:44 +0000\r\n"
            "X-Sluice-ID: 5f3a.17");
}

TEST(Notice, tells_people_who_said_what_and_what_to_do) {
  const std::string notice = Composing{}.one();
  EXPECT_THAT(notice, HasSubstr("\r\n<bob@example.net>\r\n"
                                "    Tried once, at Sat, 21 Nov 2026 05:27:44 +0000.\r\n"
                                "    What the server mx1.example.net (192.0.2.7:25) said:\r\n"
                                "        550-5.1.1 <bob@example.net>: user unknown\r\n"
                                "        550 5.1.1 see our page\r\n"
                                "    Check the address for mistakes."));
  EXPECT_THAT(flat(notice), HasSubstr("Your message of Sat, 21 Nov 2026 05:26:40 +0000 was not "
                                      "delivered to this recipient. It will not be tried again."));
}

TEST(Notice, of_an_expired_recipient_tells_how_often_since_when_and_the_last_reason) {
  const std::string notice = Composing{.recipients = {black_hole()}}.one();
  EXPECT_THAT(flat(notice),
              HasSubstr("We gave up after 14 tries since Sat, 21 Nov 2026 05:26:40 +0000, the last "
                        "one at Wed, 25 Nov 2026 20:34:24 +0000. With the server mx.hole.example "
                        "(192.0.2.9:25), while connecting to it: timed out after 30 s "));
  EXPECT_THAT(notice, HasSubstr("\r\nAction: failed\r\nStatus: 4.4.1\r\n"));
  EXPECT_THAT(notice,
              HasSubstr("\r\nDiagnostic-Code: X-Sluice; connect: timed out after 30 s\r\n"));
}

TEST(Notice, of_a_recipient_that_was_never_tried_says_so) {
  const std::string notice = Composing{.recipients = {{.address = "a@held.example",
                                                       .cause = FailureCause::expired,
                                                       .reason = "held by the operator"}}}
                                 .one();
  EXPECT_THAT(flat(notice),
              HasSubstr("could not be tried at all. The reason: held by the operator"));
  EXPECT_THAT(notice, HasSubstr("Status: 4.4.7\r\n"));
  EXPECT_THAT(notice, Not(HasSubstr("Last-Attempt-Date")));
}

TEST(Notice, of_an_unknown_outcome_says_that_it_may_have_arrived) {
  NoticeRecipient recipient = black_hole();
  recipient.cause = FailureCause::in_doubt;
  recipient.stage = Stage::final_dot;
  const std::string notice = Composing{.recipients = {recipient}}.one();
  EXPECT_THAT(flat(notice), HasSubstr("It is not known whether your message of Sat, 21 Nov 2026 "
                                      "05:26:40 +0000 reached this recipient."));
  EXPECT_THAT(flat(notice), HasSubstr("may have arrived, or it may not: we do not know."));
  EXPECT_THAT(flat(notice), HasSubstr("Ask whether it arrived before you send it again"));
  EXPECT_THAT(flat(notice), Not(HasSubstr("not delivered")));
  EXPECT_THAT(notice, HasSubstr("Status: 4.4.2\r\n"));
}

TEST(Notice, of_failures_and_unknown_outcomes_does_not_take_the_ones_for_the_others) {
  NoticeRecipient recipient = black_hole();
  recipient.cause = FailureCause::in_doubt;
  EXPECT_THAT(flat(Composing{.recipients = {unknown_user(), recipient}}.one()),
              HasSubstr("was not delivered, or not surely, to these recipients."));
}

TEST(Notice, of_delay_is_a_warning_with_an_end) {
  const std::string notice =
      Composing{.kind = NoticeKind::delayed, .recipients = {black_hole()}}.one();
  EXPECT_THAT(notice, HasSubstr("\r\nSubject: Delayed Mail (still being retried)\r\n"));
  EXPECT_THAT(flat(notice), HasSubstr("YOU DO NOT NEED TO SEND THE MESSAGE"));
  EXPECT_THAT(notice, HasSubstr("\r\nAction: delayed\r\nStatus: 4.4.1\r\n"));
  EXPECT_THAT(notice, HasSubstr("\r\nWill-Retry-Until: Thu, 26 Nov 2026 05:27:44 +0000\r\n"));
  EXPECT_THAT(flat(notice), HasSubstr("tried again until Thu, 26 Nov 2026 05:27:44 +0000"));
  EXPECT_THAT(notice, Not(HasSubstr("gave up")));
}

TEST(Notice, of_success_says_relayed_and_promises_nothing) {
  NoticeRecipient recipient = unknown_user();
  recipient.code = 250;
  recipient.enhanced = {};
  recipient.text = "250 Ok: queued";
  const std::string notice =
      Composing{.kind = NoticeKind::relayed, .recipients = {recipient}}.one();
  EXPECT_THAT(notice, HasSubstr("\r\nSubject: Successful Mail Delivery Report\r\n"));
  EXPECT_THAT(notice, HasSubstr("\r\nAction: relayed\r\nStatus: 2.0.0\r\n"));
  EXPECT_THAT(flat(notice), HasSubstr("You may or may not hear from there."));
}

TEST(Notice, to_the_postmaster_says_why_it_comes_to_him) {
  const std::string notice =
      Composing{.to = "postmaster@news.example", .is_for_postmaster = true}.one();
  EXPECT_THAT(notice, HasSubstr("\r\nSubject: Postmaster Warning: Undelivered Mail\r\n"));
  EXPECT_THAT(flat(notice), HasSubstr("it is a notice"));
}

TEST(Notice, returns_the_header_or_the_whole_message) {
  Composing composing;
  composing.returned = {"From: a@b.example\r\n\r\n.body\r\n", false};
  EXPECT_THAT(composing.one(), HasSubstr("Content-Type: text/rfc822-headers\r\n\r\n"
                                         "From: a@b.example\r\n\r\n--=_"));
  composing.returned.is_whole = true;
  EXPECT_THAT(composing.one(), HasSubstr("Content-Type: message/rfc822\r\n\r\n"
                                         "From: a@b.example\r\n\r\n.body\r\n\r\n--=_"));
}

TEST(Notice, needs_8bitmime_when_what_it_returns_does) {
  Composing composing;
  composing.returned = {"From: a@b.example\r\n\r\n\u00e9\r\n", true};
  const auto notice = composing.all().at(0);
  EXPECT_TRUE(notice.needs_8bit);
  EXPECT_FALSE(notice.needs_smtputf8);
  EXPECT_THAT(notice.content, HasSubstr("Content-Transfer-Encoding: 8bit\r\n\r\nThis is"));
  EXPECT_FALSE(Composing{}.all().at(0).needs_8bit);
}

TEST(Notice, header_that_is_not_ascii_is_encoded) {
  Composing composing;
  composing.returned = {"Subject: \u00e9=\r\n\r\n\u00e9\r\n", true};
  const auto notice = composing.all().at(0);
  EXPECT_FALSE(notice.needs_8bit);
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: text/rfc822-headers\r\n"
                                        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                                        "Subject: =C3=A9=3D\r\n"));
}

TEST(Notice, to_an_ascii_address_about_one_that_is_not_stays_ascii) {
  NoticeRecipient recipient = unknown_user();
  recipient.address = "b\u00f6+b@example.net";
  recipient.original_recipient = "utf-8;B\u00d6b@example.net";
  const auto notice = Composing{.recipients = {recipient}}.all().at(0);
  EXPECT_TRUE(is_ascii(notice.content));
  EXPECT_FALSE(notice.needs_smtputf8);
  EXPECT_THAT(notice.content, HasSubstr("Original-Recipient: utf-8; B\\x{D6}b@example.net\r\n"));
  EXPECT_THAT(notice.content,
              HasSubstr("Final-Recipient: utf-8; b\\x{F6}\\x{2B}b@example.net\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/delivery-status\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("<b=C3=B6+b@example.net>"));
}

TEST(Notice, to_an_address_that_is_not_ascii_is_in_the_form_of_rfc_6533) {
  NoticeRecipient recipient = unknown_user();
  recipient.address = "b\u00f6b@example.net";
  Composing composing{.to = "n\u00e9ws@client.example", .recipients = {recipient}};
  composing.returned = {"Subject: \u00e9\r\n\r\n", false};
  const auto notice = composing.all().at(0);
  EXPECT_TRUE(notice.needs_smtputf8);
  EXPECT_TRUE(notice.needs_8bit);
  EXPECT_THAT(notice.content, HasSubstr("\r\nTo: n\u00e9ws@client.example\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/global-delivery-status\r\n"
                                        "Content-Transfer-Encoding: 8bit\r\n\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Final-Recipient: utf-8; b\u00f6b@example.net\r\n"));
  EXPECT_THAT(notice.content, HasSubstr("Content-Type: message/global-headers\r\n"));
}

TEST(Notice, many_recipients_share_as_few_notices_as_hold_them) {
  std::vector<std::string> addresses;
  for (int i = 0; i < 2000; ++i) addresses.push_back("r" + std::to_string(i) + "@example.net");
  Composing composing;
  composing.recipients.clear();
  for (const auto& address : addresses) {
    composing.recipients.push_back(unknown_user());
    composing.recipients.back().address = address;
  }
  const auto notices = composing.all();
  EXPECT_GT(notices.size(), 3u);
  EXPECT_LT(notices.size(), 15u);
  size_t next = 0;
  for (const auto& notice : notices) {
    EXPECT_LE(stuff_dots(notice.content).size(), notice_bytes_max);
    constexpr std::string_view field = "Final-Recipient: rfc822; ";
    for (size_t at = 0; (at = notice.content.find(field, at)) != notice.content.npos; ++next) {
      at += field.size();
      ASSERT_LT(next, addresses.size());
      EXPECT_EQ(notice.content.substr(at, notice.content.find('\r', at) - at), addresses[next]);
    }
  }
  EXPECT_EQ(next, addresses.size());
}

TEST(Notice, boundary_is_nowhere_in_what_is_returned) {
  Composing composing;
  composing.returned = {"Subject: x\r\n\r\n--=_0000000000000abc.0.0--\r\n", true};
  EXPECT_THAT(composing.one(), HasSubstr("boundary=\"=_0000000000000abc.0.1\""));
}

TEST(NoticeStatus, is_of_the_class_that_its_kind_demands) {
  const auto status = [](uint16_t code, smtp::EnhancedCode enhanced, NoticeKind kind,
                         FailureCause cause = FailureCause::refused) {
    const auto s =
        status_of({.cause = cause, .attempts = 1, .code = code, .enhanced = enhanced}, kind);
    return std::to_string(s.status) + "." + std::to_string(s.subject) + "." +
           std::to_string(s.detail);
  };
  using enum NoticeKind;
  EXPECT_EQ(status(550, {5, 7, 1}, failed), "5.7.1");
  EXPECT_EQ(status(550, {}, failed), "5.0.0");
  EXPECT_EQ(status(550, {2, 1, 5}, failed), "5.0.0");
  EXPECT_EQ(status(0, {5, 1, 10}, failed), "5.1.10");
  EXPECT_EQ(status(451, {4, 3, 0}, failed, FailureCause::expired), "4.3.0");
  EXPECT_EQ(status(452, {4, 2, 2}, delayed), "4.2.2");
  EXPECT_EQ(status(550, {5, 2, 2}, delayed), "4.2.2");
  EXPECT_EQ(status(250, {2, 1, 5}, relayed), "2.1.5");
  EXPECT_EQ(status(250, {}, relayed), "2.0.0");
}

/// Octets as a hostile peer would choose them.
std::string hostile(std::mt19937_64& random, size_t bytes_max) {
  static const std::string pieces[] = {"\r\n", "\n",     "\r",     std::string(1, '\0'),
                                       "\x80", "\xff",   "\u202e", "\x1b[2J",
                                       ".",    "\r\n.",  "--",     "=_0000000000000abc.0.0",
                                       " ",    "\t",     "=",      "Action: delivered",
                                       ";",    "\"(<\\", "\u00e9", "\r\n\r\nFinal-Recipient: x"};
  std::string out;
  const size_t bytes = random() % bytes_max;
  while (out.size() < bytes) {
    if (random() % 4 == 0)
      out += std::string(random() % 1500, 'x');
    else
      out += pieces[random() % std::size(pieces)];
  }
  return out;
}

TEST(Notice, whatever_peers_and_clients_say_the_structure_holds) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const std::string bob = "bob@example.net", text = hostile(random, 9000),
                      reason = hostile(random, 500), host = hostile(random, 300),
                      orcpt = "rfc822;" + hostile(random, 500), address = hostile(random, 300),
                      message = hostile(random, 70000);
    Composing composing;
    composing.kind = static_cast<NoticeKind>(random() % 3);
    if (random() % 3 == 0) composing.to = "n\u00e9ws@client.example";
    composing.recipients.clear();
    for (unsigned i = 0; i < 1 + random() % 4; ++i)
      composing.recipients.push_back({.address = std::string_view(random() % 2 ? bob : address),
                                      .original_recipient = orcpt,
                                      .cause = static_cast<FailureCause>(random() % 3),
                                      .attempts = static_cast<uint32_t>(random() % 3),
                                      .stage = Stage::final_dot,
                                      .host = host,
                                      .code = static_cast<uint16_t>(random() % 2 ? 554 : 0),
                                      .text = text,
                                      .reason = reason});
    composing.returned = {message, random() % 2 == 0};
    size_t recipients = 0;
    for (const auto& notice : composing.all()) {
      const std::string wire = stuff_dots(notice.content);
      ASSERT_EQ(fault_of_wire(wire), "") << wire;
      ASSERT_LE(wire.size(), notice_bytes_max);
      ASSERT_EQ(wire.find('\0'), wire.npos);
      ASSERT_TRUE(notice.needs_8bit || is_ascii(wire));
      const size_t quote = wire.find(" boundary=\"") + 11;
      const std::string boundary = wire.substr(quote, wire.find('"', quote) - quote);
      size_t lines = 0;
      for (size_t at = 0; (at = wire.find("\r\n--" + boundary, at)) != wire.npos; ++at) ++lines;
      ASSERT_EQ(lines, 4u) << "three parts and an end";
      for (size_t at = 0; (at = wire.find("\r\nFinal-Recipient: ", at)) != wire.npos; ++at)
        if (at < wire.find("Undelivered Message")) ++recipients;
    }
    ASSERT_EQ(recipients, composing.recipients.size());
  }
}

/// A body in memory.
struct TextBody final : smtp::Body {
  explicit TextBody(std::string t) : text(std::move(t)) {}
  size_t read(std::span<char> out) override {
    const size_t bytes = std::min(out.size(), text.size() - at);
    std::copy_n(text.data() + at, bytes, out.data());
    at += bytes;
    return bytes;
  }
  std::string text;
  size_t at = 0;
};

TEST(ReturnedMessage, is_the_header_unless_all_is_asked_for) {
  const std::string wire = "Subject: x\r\n\r\n..\r\nbody\r\n";
  TextBody body(wire), again(wire);
  const auto header = read_returned(body, false);
  EXPECT_EQ(header.octets, "Subject: x\r\n\r\n");
  EXPECT_FALSE(header.is_whole);
  const auto whole = read_returned(again, true);
  EXPECT_EQ(whole.octets, "Subject: x\r\n\r\n.\r\nbody\r\n");
  EXPECT_TRUE(whole.is_whole);
}

TEST(ReturnedMessage, that_is_too_large_is_its_header) {
  TextBody body("Subject: x\r\n\r\n" + std::string(returned_bytes_max, 'x') + "\r\n");
  const auto returned = read_returned(body, true);
  EXPECT_EQ(returned.octets, "Subject: x\r\n\r\n");
  EXPECT_FALSE(returned.is_whole);
}

TEST(ReturnedMessage, header_that_is_too_large_is_cut_at_a_line) {
  std::string wire;
  while (wire.size() < 200 * 1024) wire += "Received: from a by b for c\r\n";
  TextBody body(wire + "\r\nx\r\n");
  const auto returned = read_returned(body, true);
  EXPECT_LE(returned.octets.size(), returned_header_bytes_max);
  EXPECT_GT(returned.octets.size(), returned_header_bytes_max - 100);
  EXPECT_TRUE(returned.octets.ends_with(" c\r\n"));
}

TEST(HeaderField, of_a_notice_unfolds_to_its_value) {
  const std::string value = "smtp;  550 " + std::string(200, 'a') + "  b  " + std::string(70, 'c') +
                            " " + std::string(20, 'd');
  std::string out;
  append_field(out, "Diagnostic-Code", value);
  std::string unfolded;
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i] != '\r' && out[i] != '\n') unfolded += out[i];
  EXPECT_EQ(unfolded, "Diagnostic-Code: " + value);
  EXPECT_THAT(out, HasSubstr("\r\n "));
}

}  // namespace
}  // namespace sluice::engine::mail
