#include "tools/log_history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/tools/attempt_record.h"
#include "tools/log_table.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::LogRecord;
namespace {

/// Of the whole campaign: the record of no recipient.
LogRecord acceptance(std::string time) {
  LogRecord record;
  record.time = std::move(time), record.event = "accepted";
  record.campaign = "news-47", record.recipients = 100000;
  return record;
}

LogRecord setback(std::string recipient, std::string time, std::string reason,
                  std::string next_attempt) {
  LogRecord record = attempt(1, std::move(time), "deferred");
  record.id = "5f3a.1", record.recipient = std::move(recipient);
  record.phase = "connect", record.reason = std::move(reason);
  record.next_attempt = std::move(next_attempt);
  return record;
}

size_t count(const std::string& text, std::string_view what) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; ++at) ++found;
  return found;
}

TEST(LogHistory, shows_attempts_in_order_with_reason_and_next_try) {
  LogHistory history;
  LogRecord second = attempt(2, "2026-11-22T05:32:44.000000Z", "deferred");
  second.phase = "rcpt", second.code = 451, second.text = "4.7.1 greylisted";
  second.next_attempt = "2026-11-22T05:42:44.000000Z",
  second.expires = "2026-11-27T05:27:44.000000Z";
  LogRecord first = attempt(1, "2026-11-22T05:27:44.000000Z", "deferred");
  first.phase = "connect", first.reason = "connect: no route to host",
  first.next_attempt = "2026-11-22T05:32:44.000000Z";
  history.add(second);
  history.add(first);
  EXPECT_EQ(
      history.text(),
      "ann@example.net\n"
      "  campaign news-47\n"
      "  id       5f3a.17\n"
      "  TIME (UTC)          TRY EVENT     PHASE     HOST                             NEXT TRY\n"
      "  2026-11-22 05:27:44 1   deferred  connect   mx1.example.net 192.0.2.7:25     2026-11-22 "
      "05:32:44\n"
      "                          connect: no route to host\n"
      "  2026-11-22 05:32:44 2   deferred  rcpt      mx1.example.net 192.0.2.7:25     2026-11-22 "
      "05:42:44\n"
      "                          changed: 451 4.7.1 greylisted\n"
      "  waits; next try 2026-11-22 05:42:44, given up 2026-11-27 05:27:44\n");
}

TEST(LogHistory, keeps_campaigns_of_the_same_recipient_apart_and_repeated_lines_out) {
  LogHistory history;
  LogRecord one = attempt(1, "2026-11-22T05:27:44.000000Z", "delivered"), other = one;
  other.campaign = "news-48", other.id = "77.1";
  history.add(one);
  history.add(one);
  history.add(other);
  const std::string text = history.text();
  EXPECT_NE(text.find("news-47"), std::string::npos);
  EXPECT_NE(text.find("news-48"), std::string::npos);
  EXPECT_EQ(count(text, "delivered"), 2u) << text;
}

TEST(LogHistory, begins_with_the_acceptance_of_the_campaign) {
  LogHistory history;
  history.add(acceptance("2026-11-22T05:27:00.000000Z"));
  history.add(attempt(1, "2026-11-22T05:27:44.000000Z", "delivered"));
  EXPECT_NE(
      history.text().find(
          "2026-11-22 05:27:00     accepted\n                          with 100000 recipients\n"),
      std::string::npos)
      << history.text();
}

TEST(LogHistory, a_long_reply_is_wrapped_into_100_columns) {
  LogHistory history;
  LogRecord record = attempt(1, "2026-11-22T05:27:44.000000Z", "failed");
  record.code = 550;
  for (int i = 0; i < 60; ++i) record.text += "wörter 世界 ";
  record.text += std::string(300, 'x');
  history.add(record);
  std::istringstream text(history.text());
  size_t lines = 0;
  for (std::string line; std::getline(text, line); ++lines)
    EXPECT_LE(terminal_width(line), log_columns) << line;
  EXPECT_GT(lines, 10u);
}

TEST(LogHistory, marks_an_attempt_that_failed_for_another_reason) {
  LogHistory history;
  const char* const reasons[] = {"connect: no route to host", "connect: no route to host",
                                 "connect: connection refused"};
  for (uint64_t i = 0; i < 3; ++i) {
    LogRecord record = attempt(i + 1, fmt::format("2026-11-22T05:2{}:44.000000Z", i), "deferred");
    record.phase = "connect", record.reason = reasons[i];
    history.add(record);
  }
  LogRecord last = attempt(4, "2026-11-22T05:27:44.000000Z", "delivered");
  last.code = 250, last.text = "2.0.0 Ok", last.local = "198.51.100.2:40000";
  history.add(last);
  const std::string text = history.text();
  EXPECT_EQ(count(text, "changed: "), 1u) << text;
  EXPECT_NE(text.find("changed: connect: connection refused"), std::string::npos) << text;
  EXPECT_NE(text.find("from 198.51.100.2:40000 to 192.0.2.7:25"), std::string::npos) << text;
}

TEST(LogHistory, does_not_take_other_numbers_in_a_reply_for_another_reason) {
  LogHistory history;
  for (uint64_t i = 1; i < 3; ++i) {
    LogRecord record = attempt(i, fmt::format("2026-11-22T05:2{}:44.000000Z", i), "deferred");
    record.code = 451, record.text = fmt::format("greylisted, try again in {} s", 300 - i);
    history.add(record);
  }
  EXPECT_EQ(history.text().find("changed"), std::string::npos);
}

TEST(LogHistory, fills_a_gap_with_the_setbacks_that_others_were_told_of) {
  LogHistory history;
  history.add(acceptance("2026-11-22T05:00:00.000000Z"));
  // Two setbacks, each told with several recipients; one before the acceptance, one elsewhere.
  for (const char* who : {"bob@example.net", "carl@example.net"}) {
    history.add_setback(setback(who, "2026-11-22T04:00:00.000000Z", "connect: before",
                                "2026-11-22T04:05:00.000000Z"));
    history.add_setback(setback(who, "2026-11-22T05:01:00.000000Z", "connect: no route to host",
                                "2026-11-22T05:06:00.000000Z"));
    history.add_setback(setback(who, "2026-11-22T05:06:00.000000Z", "connect: connection refused",
                                "2026-11-22T05:16:00.000000Z"));
  }
  LogRecord elsewhere = setback("dan@example.org", "2026-11-22T05:02:00.000000Z",
                                "connect: elsewhere", "2026-11-22T05:07:00.000000Z");
  elsewhere.host = "mx.example.org";
  history.add_setback(elsewhere);
  history.add(attempt(3, "2026-11-22T05:16:00.500000Z", "delivered"));
  const std::string text = history.text();
  EXPECT_EQ(count(text, "(with others of example.net)"), 2u) << text;
  EXPECT_NE(text.find("2026-11-22 05:01:00 1   deferred  connect"), std::string::npos) << text;
  EXPECT_NE(text.find("2026-11-22 05:06:00 2   deferred  connect"), std::string::npos) << text;
  EXPECT_NE(text.find("changed: connect: connection refused"), std::string::npos) << text;
  EXPECT_EQ(count(text, "elsewhere") + count(text, "before"), 0u) << text;
  EXPECT_LT(text.find("05:06:00 2"), text.find("05:16:00 3")) << text;
}

TEST(LogHistory, shows_later_setbacks_of_one_that_was_due_again) {
  LogHistory history;
  LogRecord own = setback("ann@example.net", "2026-11-22T05:01:00.000000Z", "connect: refused",
                          "2026-11-22T05:06:00.000000Z");
  own.expires = "2026-11-27T05:00:00.000000Z";
  history.add(own);
  history.add_setback(own);
  history.add_setback(setback("bob@example.net", "2026-11-22T05:06:00.200000Z", "connect: refused",
                              "2026-11-22T05:16:00.000000Z"));
  const std::string text = history.text();
  EXPECT_NE(text.find("2026-11-22 05:06:00 2   deferred"), std::string::npos) << text;
  EXPECT_NE(text.find("waits; next try 2026-11-22 05:16:00, given up 2026-11-27 05:00:00"),
            std::string::npos)
      << text;
}

TEST(LogHistory, tells_of_its_destination_who_has_no_line_of_his_own) {
  LogHistory history;
  history.add_setback(setback("bob@example.net", "2026-11-22T05:06:00.200000Z", "connect: refused",
                              "2026-11-22T05:16:00.000000Z"));
  const std::string text = history.text("zoe@example.net");
  EXPECT_NE(text.find("2026-11-22 05:06:00 connect"), std::string::npos) << text;
  EXPECT_EQ(history.text("zoe@example.org").find("connect"), std::string::npos);
}

}  // namespace
}  // namespace sluice::tools
