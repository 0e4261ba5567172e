#include "tools/log_table.h"

#include <gtest/gtest.h>

#include "tests/unit/tools/attempt_record.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::LogRecord;
namespace {

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

}  // namespace
}  // namespace sluice::tools
