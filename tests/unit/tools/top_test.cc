#include <gtest/gtest.h>

#include <algorithm>

#include "tools/top/sample.h"
#include "tools/top/screen.h"

namespace sluice::tools {
namespace {

constexpr const char* before_text = R"(# HELP sluice_recipients_accepted_total x
sluice_recipients_accepted_total 100
sluice_recipients_fates_total{fate="delivered"} 50
sluice_phase_duration_seconds_count{phase="rcpt"} 10
sluice_phase_duration_seconds_sum{phase="rcpt"} 1.5
)";
constexpr const char* now_text = R"(sluice_recipients_accepted_total 300
sluice_recipients_fates_total{fate="delivered"} 150
sluice_phase_duration_seconds_count{phase="rcpt"} 30
sluice_phase_duration_seconds_sum{phase="rcpt"} 9.5
sluice_deferral_reasons_total{phase="rcpt",code="450"} 20
sluice_deferral_reasons_total{phase="connect",code="none"} 40
sluice_recipients_waiting 7
sluice_ready 1
nonsense
)";

Activity two_seconds() {
  Sample before = Sample::parse(before_text), now = Sample::parse(now_text);
  now.at = before.at + std::chrono::seconds(2);
  return Activity::between(before, now);
}

TEST(Activity, is_what_rose_in_a_second) {
  const Activity activity = two_seconds();
  EXPECT_EQ(activity.rates.at(0).name, "accepted");
  EXPECT_DOUBLE_EQ(activity.rates.at(0).per_s, 100);
  EXPECT_DOUBLE_EQ(activity.rates.at(1).per_s, 50);
  EXPECT_EQ(activity.rates.at(1).total, 150u);
  EXPECT_EQ(activity.waiting, 7u);
  EXPECT_TRUE(activity.is_ready);
}

TEST(Activity, tells_how_many_sessions_waited_by_how_long_they_did) {
  const Activity activity = two_seconds();
  ASSERT_EQ(activity.phases.size(), 1u);
  EXPECT_EQ(activity.phases[0].name, "rcpt");
  EXPECT_DOUBLE_EQ(activity.phases[0].sessions, 4);
  EXPECT_DOUBLE_EQ(activity.phases[0].per_s, 10);
  EXPECT_DOUBLE_EQ(activity.phases[0].mean_ms, 400);
}

TEST(Activity, tells_why_mail_is_put_off_the_most_frequent_first) {
  const Activity activity = two_seconds();
  ASSERT_EQ(activity.reasons.size(), 2u);
  EXPECT_EQ(activity.reasons[0].name, "connect, no reply");
  EXPECT_DOUBLE_EQ(activity.reasons[0].per_s, 20);
  EXPECT_EQ(activity.reasons[1].name, "rcpt 450");
  EXPECT_EQ(activity.reasons[1].total, 20u);
}

TEST(Activity, has_no_negative_rates_when_another_engine_answers) {
  const Sample before = Sample::parse(now_text), now = Sample::parse(before_text);
  for (const Activity::Row& row : Activity::between(before, now).rates) EXPECT_GE(row.per_s, 0);
}

TEST(DestinationRow, is_nothing_where_the_answer_is_not_as_it_should_be) {
  for (const char* text : {"", "[]", "{}", R"({"destinations": 1})", R"({"destinations": [1]})"})
    EXPECT_TRUE(DestinationRow::parse(text).empty()) << text;
}

TEST(Screen, escapes_what_others_named_and_keeps_to_its_lines) {
  const auto rows = DestinationRow::parse(
      R"({"destinations": [{"destination": "a\u001b[2J.example", "waiting": 3, "in_doubt": 1}]})");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].held, 1u);
  const std::string text = screen_text("127.0.0.1:1", two_seconds(), rows, SIZE_MAX);
  EXPECT_EQ(text.find('\x1b'), text.npos);
  EXPECT_NE(text.find("\\x1b[2J"), text.npos) << text;
  const std::string cut = screen_text("127.0.0.1:1", two_seconds(), rows, 3);
  EXPECT_EQ(std::ranges::count(cut, '\n'), 3);
}

}  // namespace
}  // namespace sluice::tools
