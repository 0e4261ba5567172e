#include "engine/mail/incoming_head.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace sluice::engine::mail {
namespace {

using namespace std::chrono_literals;

constexpr io::WallTime sunday{std::chrono::seconds(1795341926)};

constexpr std::string_view date = "Date: Sun, 22 Nov 2026 10:05:26 +0000\r\n";
constexpr std::string_view id = "Message-ID: <1@me.example>\r\n";

/// `message` through `head`, in pieces that end where `cuts` say.
std::string passed(IncomingHead& head, Completion completion, std::string_view message,
                   const std::vector<size_t>& cuts) {
  std::string stored;
  head.begin(completion, "<1@me.example>", sunday);
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t end = i < cuts.size() ? cuts[i] : message.size();
    const std::string copy(message.substr(begin, end - begin));
    std::string_view piece = copy;
    for (std::string_view out; !(out = head.next(piece)).empty();) stored += out;
    EXPECT_EQ(piece, "");
    begin = end;
  }
  stored += head.end();
  return stored;
}

/// The same however it is cut in two, and octet by octet.
std::string passed(Completion completion, std::string_view message, IncomingHead& head) {
  const std::string whole = passed(head, completion, message, {});
  const std::string id_of_whole(head.message_id());
  std::vector<size_t> all;
  for (size_t at = 1; at < message.size(); ++at) {
    all.push_back(at);
    EXPECT_EQ(passed(head, completion, message, {at}), whole) << "cut at " << at;
    EXPECT_EQ(head.message_id(), id_of_whole) << "cut at " << at;
  }
  EXPECT_EQ(passed(head, completion, message, all), whole) << "octet by octet";
  EXPECT_EQ(head.message_id(), id_of_whole);
  return whole;
}

std::string passed(Completion completion, std::string_view message) {
  IncomingHead head;
  return passed(completion, message, head);
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

TEST(IncomingHead, adds_the_date_and_message_id_that_a_submitted_message_lacks) {
  EXPECT_EQ(passed(Completion::always, "From: a@s.example\r\n\r\nDate: body\r\n"),
            joined({"From: a@s.example\r\n", date, id, "\r\nDate: body\r\n"}));
  EXPECT_EQ(passed(Completion::always, "date: now\r\n\r\n"), joined({"date: now\r\n", id, "\r\n"}));
  EXPECT_EQ(passed(Completion::always, "MESSAGE-ID : <a@b>\r\n\r\n"),
            joined({"MESSAGE-ID : <a@b>\r\n", date, "\r\n"}));
}

TEST(IncomingHead, adds_them_to_a_message_that_has_no_body_or_no_header) {
  EXPECT_EQ(passed(Completion::always, "From: a@s.example\r\n"),
            joined({"From: a@s.example\r\n", date, id}));
  EXPECT_EQ(passed(Completion::always, "\r\nbody\r\n"), joined({date, id, "\r\nbody\r\n"}));
  EXPECT_EQ(passed(Completion::always, ""), joined({date, id}));
}

TEST(IncomingHead, leaves_a_complete_message_as_it_is) {
  const std::string_view message =
      "Date: d\r\nMessage-ID:\r\n\t<a@b> \r\nBccc: x\r\n\r\nBcc: y\r\n";
  IncomingHead head;
  EXPECT_EQ(passed(Completion::always, message, head), message);
  EXPECT_EQ(head.message_id(), "<a@b>");
  EXPECT_FALSE(head.has_from());
}

TEST(IncomingHead, takes_bcc_out_of_a_submitted_message_with_all_its_folds) {
  const std::string rest = joined({"Date: d\r\n", id, "\r\n"});
  for (const std::string_view field :
       {"Bcc: a@r.example,\r\n b@r.example,\r\n\tc@r.example\r\n", "BCC:x\r\n", "bcc :\r\n x\r\n",
        "Resent-Bcc: x\r\n", "Return-Path: <x@y>\r\n", "Bcc:\r\n"}) {
    EXPECT_EQ(passed(Completion::always, joined({field, rest})), rest);
    EXPECT_EQ(passed(Completion::always, joined({"To: x\r\n y\r\n", field, field, rest})),
              joined({"To: x\r\n y\r\n", rest}));
    EXPECT_EQ(passed(Completion::always, joined({"Date: d\r\n", id, field, "\r\n"})), rest);
  }
}

TEST(IncomingHead, takes_the_line_of_a_mail_file_out) {
  const std::string rest = joined({"Date: d\r\n", id, "\r\n"});
  EXPECT_EQ(
      passed(Completion::always, joined({"From joe@s.example Sun Nov 22 06:05:26 2026\r\n", rest})),
      rest);
  EXPECT_EQ(passed(Completion::always, joined({"From joe\r\n", rest})), rest);
}

TEST(IncomingHead, passes_a_relayed_message_on_octet_by_octet) {
  const std::string_view message =
      "From joe\r\nReturn-Path: <x>\r\nReceived: by a\r\n\tb\r\nBcc: x\r\n\r\nbody\r\n";
  EXPECT_EQ(passed(Completion::never, message), message);
}

TEST(IncomingHead, knows_a_submitted_message_by_its_lack_of_received_fields) {
  EXPECT_EQ(passed(Completion::automatic, "Bcc: x\r\nFrom: y\r\n\r\n"),
            joined({"From: y\r\n", date, id, "\r\n"}));
  const std::string_view relayed = "X-Spam: no\r\nReceived: by a\r\nBcc: x\r\nFrom: y\r\n\r\n";
  EXPECT_EQ(passed(Completion::automatic, relayed), relayed);
}

TEST(IncomingHead, ends_the_header_before_what_is_none) {
  EXPECT_EQ(passed(Completion::always, "From: a\r\nno field\r\nBcc: x\r\n"),
            joined({"From: a\r\n", date, id, "\r\nno field\r\nBcc: x\r\n"}));
  EXPECT_EQ(passed(Completion::always, " folded\r\n"), joined({date, id, "\r\n folded\r\n"}));
  EXPECT_EQ(passed(Completion::always, "a b: c\r\n"), joined({date, id, "\r\na b: c\r\n"}));
  EXPECT_EQ(passed(Completion::always, ": c\r\n"), joined({date, id, "\r\n: c\r\n"}));
  EXPECT_EQ(passed(Completion::never, "From: a\r\nno field\r\n"), "From: a\r\nno field\r\n");
}

TEST(IncomingHead, reads_no_more_of_a_name_than_it_holds) {
  const std::string field = std::string(1000, 'n') + ": v\r\n";
  EXPECT_EQ(passed(Completion::always, joined({field, "Date: d\r\n", id, "\r\n"})),
            joined({field, "Date: d\r\n", id, "\r\n"}));
}

TEST(IncomingHead, counts_received_fields) {
  std::string fields;
  for (unsigned i = 0; i < IncomingHead::hops_max; ++i) fields += "received: by x\r\n\tfor y\r\n";
  IncomingHead head;
  passed(head, Completion::automatic, fields + "\r\nReceived: in the body\r\n", {});
  EXPECT_FALSE(head.is_loop());
  passed(head, Completion::automatic, fields + "Received: once more\r\n\r\n", {7, 100});
  EXPECT_TRUE(head.is_loop());
  passed(head, Completion::automatic, "\r\n", {});
  EXPECT_FALSE(head.is_loop());
}

TEST(IncomingHead, keeps_the_first_message_id_up_to_a_limit) {
  IncomingHead head;
  passed(Completion::always, "Message-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\n", head);
  EXPECT_EQ(head.message_id(), "<a@b>");
  passed(Completion::always, "Message-ID: <" + std::string(2000, 'x') + "\r\n\r\n", head);
  EXPECT_EQ(head.message_id(), "<" + std::string(IncomingHead::message_id_bytes_max - 1, 'x'));
  passed(Completion::always, "From: a\r\n\r\n", head);
  EXPECT_EQ(head.message_id(), "<1@me.example>");
  EXPECT_TRUE(head.has_from());
}

}  // namespace
}  // namespace sluice::engine::mail
