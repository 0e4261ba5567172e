#include "tools/clock_text.h"

#include <gtest/gtest.h>

#include "engine/report/time_text.h"

namespace sluice::tools {
namespace {

using namespace std::chrono_literals;

TEST(ClockText, says_a_span_in_its_two_largest_units) {
  EXPECT_EQ(span_text(0s), "0s");
  EXPECT_EQ(span_text(250ms), "250ms");
  EXPECT_EQ(span_text(std::chrono::milliseconds(59900)), "1m");
  EXPECT_EQ(span_text(252s), "4m 12s");
  EXPECT_EQ(span_text(3h + 5min + 9s), "3h 5m");
  EXPECT_EQ(span_text(2h + 4s), "2h");
  EXPECT_EQ(span_text(24h * 5), "5d");
  EXPECT_EQ(span_text(-90s), "1m 30s");
}

TEST(ClockText, says_how_far_from_now) {
  const io::WallTime now(1'700'000'000s);
  EXPECT_EQ(clock_text(now), "2023-11-14 22:13:20");
  EXPECT_EQ(engine::report::time_text(now), "2023-11-14T22:13:20.000000Z");
  EXPECT_EQ(from_now_text(now + 61s, now), "in 1m 1s");
  EXPECT_EQ(from_now_text(now - 2h, now), "2h ago");
  EXPECT_EQ(from_now_text(now + 400ms, now), "now");
}

}  // namespace
}  // namespace sluice::tools
