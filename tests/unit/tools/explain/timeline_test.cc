#include "tools/explain/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tools/explain/policy_table.h"

namespace sluice::tools {
namespace {

using namespace std::chrono_literals;
using engine::Config;
using engine::Priority;
using Kind = TimelineEvent::Kind;

const io::WallTime start(1'700'000'000s);

std::vector<TimelineEvent> timeline_of(std::string_view toml,
                                       Priority priority = Priority::normal) {
  const auto config = Config::parse(toml, "test.toml");
  EXPECT_TRUE(config.has_value());
  return timeline(config->destination("example.net"), priority, start);
}

size_t attempts(const std::vector<TimelineEvent>& events) {
  return static_cast<size_t>(std::ranges::count(events, Kind::attempt, &TimelineEvent::kind));
}

TEST(Timeline, of_the_defaults_doubles_up_to_the_ceiling_and_ends_after_five_days) {
  const auto events = timeline_of("");
  ASSERT_GT(events.size(), 10u);
  EXPECT_EQ(events[0].at, start);
  EXPECT_EQ(events[0].spread, 0s);
  EXPECT_EQ(events[1].at, start + 5min);
  EXPECT_EQ(events[1].spread, 1min);
  EXPECT_EQ(events[2].at, start + 15min);
  EXPECT_EQ(events[2].spread, 3min);
  EXPECT_EQ(events.back().kind, Kind::expired);
  EXPECT_EQ(events.back().at, start + 120h);
  EXPECT_EQ((events.end() - 2)->delay, 4h);
  const auto notice = std::ranges::find(events, Kind::notice, &TimelineEvent::kind);
  ASSERT_NE(notice, events.end());
  EXPECT_EQ(notice->at, start + 4h);
}

TEST(Timeline, of_the_x400_connector_is_144_connections_and_the_end_after_24_hours) {
  const auto events = timeline_of(
      "[destination.\"*\".retry]\nconnect_interval = \"600s\"\nconnect_attempts_max = 144\n");
  EXPECT_EQ(attempts(events), 144u);
  EXPECT_EQ(events.back().kind, Kind::exhausted);
  EXPECT_EQ(events.back().at, start + 24h);
  EXPECT_EQ(events.back().spread, 0s);
}

TEST(Timeline, ends_by_the_class_of_priority) {
  EXPECT_EQ(timeline_of("", Priority::urgent).back().at, start + 24h);
  EXPECT_EQ(timeline_of("", Priority::non_urgent).back().at, start + 24h * 7);
}

TEST(Timeline, of_a_schedule_repeats_its_last_entry) {
  const auto events = timeline_of(
      "[destination.\"*\".retry]\nschedule = [\"1m\", \"1h\"]\njitter = 0.0\n"
      "[destination.\"*\".expire]\nnormal = \"4h\"\nwarn = \"\"\n");
  ASSERT_EQ(attempts(events), 5u);
  EXPECT_EQ(events[1].at, start + 1min);
  EXPECT_EQ(events[2].at, start + 61min);
  EXPECT_EQ(events[4].at, start + 181min);
  EXPECT_EQ(events.size(), 6u) << "no notice of delay was asked for";
}

TEST(Timeline, of_what_is_held_has_no_attempt_and_an_end) {
  const auto events = timeline_of("[destination.\"*\"]\nhold = \"etrn\"\n");
  EXPECT_EQ(attempts(events), 0u);
  EXPECT_EQ(events.back().kind, Kind::expired);
  EXPECT_EQ(events.back().at, start + 120h);
}

TEST(Timeline, is_cut_where_nobody_would_read_on) {
  const auto events = timeline_of("[destination.\"*\".retry]\nconnect_interval = \"1ms\"\n");
  EXPECT_EQ(attempts(events), timeline_attempts_max);
  EXPECT_EQ(events.back().kind, Kind::expired);
  EXPECT_EQ(std::ranges::count(events, Kind::cut, &TimelineEvent::kind), 1);
}

TEST(Timeline, is_in_order_and_ends_once_whatever_is_configured) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto up_to = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  for (int round = 0; round < 500; ++round) {
    engine::DestinationPolicy policy = Config::parse("", "test.toml")->destination("a.example");
    policy.retry.first = std::chrono::seconds(1 + up_to(3600));
    policy.retry.ceiling = std::chrono::seconds(1 + up_to(36000));
    policy.retry.factor = 1 + static_cast<double>(up_to(40)) / 10;
    policy.retry.connect_attempts_max = static_cast<uint32_t>(up_to(2) * up_to(50));
    policy.expire.normal = std::chrono::seconds(1 + up_to(600'000));
    policy.expire.warn = std::chrono::seconds(up_to(2) * up_to(600'000));
    const auto events = timeline(policy, Priority::normal, start);
    ASSERT_TRUE(std::ranges::is_sorted(events, {}, &TimelineEvent::at));
    ASSERT_LE(events.back().at, start + policy.expire.normal);
    ASSERT_EQ(std::ranges::count_if(events,
                                    [](const TimelineEvent& e) {
                                      return e.kind == Kind::exhausted || e.kind == Kind::expired;
                                    }),
              1);
    ASSERT_TRUE(events.back().kind == Kind::exhausted || events.back().kind == Kind::expired);
    if (policy.retry.connect_attempts_max > 0) {
      ASSERT_LE(attempts(events), policy.retry.connect_attempts_max);
    }
  }
}

TEST(PolicyTable, names_the_line_that_decided) {
  const auto config = Config::parse(
      "[destination.\"*\"]\nport = 2525\n[destination.\"example.net\"]\nsessions_max = 3\n"
      "[destination.\"*.example.net\".retry]\nschedule = [\"1m\", \"2h\"]\n",
      "test.toml");
  ASSERT_TRUE(config.has_value());
  const auto find = [&](std::string_view domain, std::string_view key) {
    const auto lines = policy_table(*config, domain, "");
    const auto found = std::ranges::find(lines, key, &PolicyLine::key);
    return found == lines.end() ? std::string() : found->value + " " + found->place;
  };
  EXPECT_EQ(find("example.net", "port"), "2525 test.toml:2");
  EXPECT_EQ(find("example.net", "sessions_max"), "3 test.toml:4");
  EXPECT_EQ(find("a.example.net", "sessions_max"), "20 built-in");
  EXPECT_EQ(find("a.example.net", "retry.schedule"), "1m, 2h test.toml:6");
  EXPECT_EQ(find("example.net", "next_hop"), "mx built-in");
  EXPECT_EQ(find("example.net", "rate"), "no limit built-in");
  EXPECT_EQ(find("example.net", "timeout.final_dot"), "10m built-in");
}

}  // namespace
}  // namespace sluice::tools
