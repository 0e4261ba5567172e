#include "tools/log_table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tools/terminal_text.h"

namespace sluice::tools {
namespace {

LogRecord attempt(uint64_t number, std::string time, std::string event) {
  LogRecord record;
  record.time = std::move(time);
  record.event = std::move(event);
  record.id = "5f3a.17";
  record.campaign = "news-47";
  record.recipient = "ann@example.net";
  record.attempt = number;
  record.host = "mx1.example.net";
  record.remote = "192.0.2.7:25";
  return record;
}

TEST(LogTable, a_row_is_one_line_of_at_most_100_columns) {
  LogRecord record = attempt(1, "2026-11-22T05:27:44.123456Z", "deferred");
  record.phase = "rcpt";
  record.code = 451;
  record.enhanced = "4.7.1";
  record.text = "4.7.1 come\nback later " + std::string(500, 'x') + "\x1b[2J";
  record.recipient.assign(200, 'a').append("@example.net");
  const std::string row = log_table_row(record);
  EXPECT_TRUE(row.starts_with("2026-11-22 05:27:44 deferred  aaaa")) << row;
  EXPECT_NE(row.find("rcpt: 451 4.7.1 come / back later"), std::string::npos) << row;
  EXPECT_EQ(row.find('\n'), row.size() - 1);
  EXPECT_LE(terminal_width(row.substr(0, row.size() - 1)), log_columns);
}

TEST(LogTable, an_outcome_is_the_reply_with_each_code_once_or_our_words) {
  LogRecord record;
  record.code = 250, record.enhanced = "2.0.0", record.text = "2.0.0 Ok";
  EXPECT_EQ(log_outcome(record), "250 2.0.0 Ok");
  record.text = "250 2.0.0 Ok";
  EXPECT_EQ(log_outcome(record), "250 2.0.0 Ok");
  record.text = "Ok";
  EXPECT_EQ(log_outcome(record), "250 2.0.0 Ok");
  record = {};
  record.reason = "connect: no route to host";
  EXPECT_EQ(log_outcome(record), "connect: no route to host");
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
      "                          451 4.7.1 greylisted\n"
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
  size_t rows = 0;
  for (size_t at = 0; (at = text.find("delivered", at)) != std::string::npos; ++at) ++rows;
  EXPECT_EQ(rows, 2u) << text;
}

TEST(LogHistory, begins_with_the_acceptance_of_the_campaign) {
  LogHistory history;
  LogRecord accepted;
  accepted.time = "2026-11-22T05:27:00.000000Z", accepted.event = "accepted",
  accepted.campaign = "news-47", accepted.recipients = 100000;
  history.add(accepted);
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

}  // namespace
}  // namespace sluice::tools
