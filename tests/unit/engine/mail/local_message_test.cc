#include "engine/mail/local_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "merging.h"

namespace sluice::engine::mail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const MissingFields missing{.name = "Ann",
                            .address = "ann@news.example",
                            .message_id = "<1@news.example>",
                            .date = io::WallTime(std::chrono::seconds(0))};

std::string completed(std::string_view message) { return LocalMessage(message).complete(missing); }

constexpr std::string_view whole =
    "From: b@b.example\r\nDate: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <x@y>\r\n\r\n";

TEST(LocalMessage, changes_nothing_in_a_complete_message) {
  const std::string message = std::string(whole) + ".\r\n..\r\n{{tag}} \xff\t\r\n\r\n";
  EXPECT_EQ(completed(message), message);
}

TEST(LocalMessage, makes_every_line_end_crlf_and_ends_with_one) {
  EXPECT_EQ(completed(std::string(whole) + "a\nb\rc\r\n\nd"),
            std::string(whole) + "a\r\nb\r\nc\r\n\r\nd\r\n");
}

TEST(LocalMessage, adds_what_is_missing_behind_the_header) {
  EXPECT_EQ(completed("Subject: x\n\nbody\n"),
            "Subject: x\r\nFrom: Ann <ann@news.example>\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n"
            "Message-ID: <1@news.example>\r\n\r\nbody\r\n");
}

TEST(LocalMessage, takes_a_text_without_a_header_for_the_body) {
  EXPECT_THAT(completed("all is well\n"), HasSubstr("<1@news.example>\r\n\r\nall is well\r\n"));
  EXPECT_THAT(completed("\nSubject: in the body\n"), HasSubstr("\r\n\r\nSubject: in the body\r\n"));
  EXPECT_THAT(completed(""), testing::EndsWith("<1@news.example>\r\n\r\n"));
}

TEST(LocalMessage, ends_the_header_at_what_is_no_header_line) {
  EXPECT_THAT(completed("Subject: x\nno header line\nTo: b@b.example\n"),
              HasSubstr("\r\n\r\nno header line\r\nTo: b@b.example\r\n"));
}

TEST(LocalMessage, keeps_a_header_that_has_no_body) {
  EXPECT_THAT(completed("Subject: x"), testing::StartsWith("Subject: x\r\nFrom: "));
}

TEST(LocalMessage, removes_who_is_not_to_be_seen) {
  const std::string out = completed(
      "From root Thu Jan  1 00:00:00 1970\nReturn-Path: <r@b.example>\nBCC: secret@b.example,\n"
      "  folded@b.example\nSubject: x\nResent-Bcc: z@b.example\n\nBcc: stays in the body\n");
  EXPECT_THAT(out, testing::StartsWith("Subject: x\r\n"));
  EXPECT_THAT(out, Not(HasSubstr("secret")));
  EXPECT_THAT(out, Not(HasSubstr("folded")));
  EXPECT_THAT(out, Not(HasSubstr("z@b.example")));
  EXPECT_THAT(out, HasSubstr("Bcc: stays in the body"));
}

TEST(LocalMessage, drops_nul_octets) {
  EXPECT_EQ(completed(std::string(whole) + std::string("a\0b\n", 4)),
            std::string(whole) + "ab\r\n");
}

TEST(LocalMessage, encodes_the_name_of_an_added_from) {
  MissingFields named = missing;
  named.name = "J\xc3\xb6rg, \"x\"\r\nBcc: y";
  const std::string out = LocalMessage("\n").complete(named);
  EXPECT_THAT(out, HasSubstr("From: =?"));
  EXPECT_THAT(out, Not(HasSubstr("\r\nBcc")));
  named.name = "";
  EXPECT_THAT(LocalMessage("\n").complete(named), HasSubstr("From: <ann@news.example>\r\n"));
}

TEST(LocalMessage, goes_on_with_long_lines_behind_a_blank) {
  std::string umlauts;
  for (int i = 0; i < 1500; ++i) umlauts += "\xc3\xb6";
  const std::string out =
      completed(std::string(whole) + std::string(2500, 'a') + "\n" + umlauts + "\n.\n");
  EXPECT_EQ(fault_of_wire(out.substr(0, out.size() - 3)), "");
  std::string joined = out;
  for (size_t at = 0; (at = joined.find("\r\n ")) != joined.npos;) joined.erase(at, 3);
  EXPECT_EQ(joined, std::string(whole) + std::string(2500, 'a') + "\r\n" + umlauts + "\r\n.\r\n");
  for (size_t at = 0; (at = out.find("\r\n ", at)) != out.npos; at += 3)
    EXPECT_NE(out[at + 3] & 0xc0, 0x80) << "cut within a character at " << at;
}

TEST(LocalMessage, names_the_recipients_of_its_header) {
  const LocalMessage message(
      "To: Ann <ann@a.example>,\n \"B, C\" <b@b.example>\nCc: root\nbcc: d@d.example\nto: "
      "e@e.example\n"
      "Reply-To: no@no.example\n\nTo: body@no.example\n");
  const auto recipients = message.recipients();
  ASSERT_TRUE(recipients) << recipients.error();
  EXPECT_THAT(*recipients,
              ElementsAre("ann@a.example", "b@b.example", "root", "d@d.example", "e@e.example"));
}

TEST(LocalMessage, is_resent_to_whom_it_says) {
  const LocalMessage message(
      "To: ann@a.example\nResent-To: b@b.example\nResent-Bcc: c@c.example\n\n");
  EXPECT_THAT(*message.recipients(), ElementsAre("b@b.example", "c@c.example"));
  EXPECT_THAT(*LocalMessage("Subject: x\n\n").recipients(), IsEmpty());
}

TEST(LocalMessage, says_where_a_list_is_wrong) {
  const auto recipients =
      LocalMessage("Subject: x\nCc: ann@a.example,\n Bob Smith\n\n").recipients();
  ASSERT_FALSE(recipients);
  EXPECT_THAT(recipients.error(), HasSubstr("line 3: Cc: blanks in an address"));
}

}  // namespace
}  // namespace sluice::engine::mail
