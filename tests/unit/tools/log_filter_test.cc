#include "tools/log_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "engine/report/log_line.h"

namespace sluice::tools {

using engine::report::LogRecord;
using engine::report::LogRecordReader;
namespace {

using engine::report::Event;
using engine::report::LogEntry;
using testing::HasSubstr;

const io::WallTime now = io::WallTime(std::chrono::seconds(1795325264));  // 2026-11-22T05:27:44Z

/// Is a line with this entry let through by its octets, and then by its record? Both must agree for
/// what matches.
bool matches(const LogQuestion& question, const LogEntry& entry) {
  const auto filter = LogFilter::make(question, now);
  EXPECT_TRUE(filter.has_value());
  std::string line;
  engine::report::LogLineWriter().append(line, entry);
  LogRecord record;
  EXPECT_TRUE(LogRecordReader().read(line, record)) << line;
  const bool by_record = filter->matches(record);
  EXPECT_TRUE(!by_record || filter->may_match(line)) << "a match is lost by its octets: " << line;
  return by_record && filter->may_match(line);
}

const LogEntry entry = {.event = Event::deferred,
                        .time = now,
                        .id = "5f3a.17",
                        .campaign = "news \"47\" ü",
                        .recipient = "Ann.Ex@mail.example.net",
                        .original_recipient = "ann@old.example"};

TEST(LogFilter, without_a_question_everything_matches) { EXPECT_TRUE(matches({}, entry)); }

TEST(LogFilter, a_recipient_is_found_in_whatever_case) {
  EXPECT_TRUE(matches({.recipient = "Ann.Ex@mail.example.net"}, entry));
  EXPECT_TRUE(matches({.recipient = "ann.ex@MAIL.example.NET"}, entry));
  EXPECT_TRUE(matches({.recipient = "Ann@old.example"}, entry)) << "the original one";
  EXPECT_FALSE(matches({.recipient = "ex@mail.example.net"}, entry));
  EXPECT_FALSE(matches({.recipient = "ann.ex@example.net"}, entry));
}

TEST(LogFilter, an_idn_domain_is_found_as_it_is_logged) {
  LogEntry e = entry;
  e.recipient = "a@xn--bro-hoa.example";
  EXPECT_TRUE(matches({.recipient = "a@büro.example"}, e));
  EXPECT_TRUE(matches({.destination = "BÜRO.example"}, e));
}

TEST(LogFilter, an_id_is_that_of_a_message_or_of_its_campaign) {
  EXPECT_TRUE(matches({.id = "5f3a.17"}, entry));
  EXPECT_TRUE(matches({.id = "5f3a"}, entry));
  EXPECT_FALSE(matches({.id = "5f3a.1"}, entry));
  EXPECT_FALSE(matches({.id = "5f3"}, entry));
}

TEST(LogFilter, a_campaign_may_hold_what_json_escapes) {
  EXPECT_TRUE(matches({.campaign = "news \"47\" ü"}, entry));
  EXPECT_FALSE(matches({.campaign = "news"}, entry));
}

TEST(LogFilter, a_destination_is_a_domain_or_those_below_it) {
  EXPECT_TRUE(matches({.destination = "mail.example.net"}, entry));
  EXPECT_TRUE(matches({.destination = "*.example.net"}, entry));
  EXPECT_FALSE(matches({.destination = "example.net"}, entry));
  EXPECT_FALSE(matches({.destination = "*.mail.example.net"}, entry));
  EXPECT_FALSE(matches({.destination = "ample.net"}, entry));
}

TEST(LogFilter, events_are_alternatives) {
  EXPECT_TRUE(matches({.events = {"deferred"}}, entry));
  EXPECT_TRUE(matches({.events = {"failed", "deferred"}}, entry));
  EXPECT_FALSE(matches({.events = {"failed"}}, entry));
}

TEST(LogFilter, times_are_a_closed_interval) {
  EXPECT_TRUE(matches({.since = "2026-11-22T05:27:44Z", .until = "2026-11-22T05:27:44Z"}, entry));
  EXPECT_FALSE(matches({.since = "2026-11-22T05:27:44.000001Z"}, entry));
  EXPECT_FALSE(matches({.until = "2026-11-22T05:27:43.999999Z"}, entry));
}

TEST(LogFilter, a_question_that_cannot_be_is_told) {
  EXPECT_THAT(LogFilter::make({.events = {"fialed"}}, now).error(),
              HasSubstr("did you mean failed?"));
  EXPECT_THAT(LogFilter::make({.since = "yesterday"}, now).error(),
              HasSubstr("--since yesterday: not a time"));
}

TEST(LogTime, takes_dates_times_zones_and_ages) {
  EXPECT_EQ(log_time("2026-11-22", now), "2026-11-22T00:00:00.000000Z");
  EXPECT_EQ(log_time("2026-11-22 05:27", now), "2026-11-22T05:27:00.000000Z");
  EXPECT_EQ(log_time("2026-11-22T05:27:44.5Z", now), "2026-11-22T05:27:44.500000Z");
  EXPECT_EQ(log_time("2026-11-22T01:27:44+02:00", now), "2026-11-21T23:27:44.000000Z");
  EXPECT_EQ(log_time("2h", now), "2026-11-22T03:27:44.000000Z");
  EXPECT_EQ(log_time("0s", now), "2026-11-22T05:27:44.000000Z");
  for (const char* text : {"", "2026", "2026-02-30", "2026-11-22T25:00", "2026-11-22T05:27:99Z",
                           "2026-11-22x", "2026-11-22T05:27+2", "11-22-2026"})
    EXPECT_EQ(log_time(text, now), std::nullopt) << text;
}

TEST(LogRecordReader, refuses_what_is_no_line_of_ours) {
  LogRecordReader reader;
  LogRecord record;
  for (const char* line : {"", "{", "[]", "{}", "{\"time\":\"x\"}",
                           "{\"time\":\"2026-11-22T05:27:44.000000Z\",\"event\":\"deliv", "\xff"})
    EXPECT_FALSE(reader.read(line, record)) << line;
}

}  // namespace
}  // namespace sluice::tools
