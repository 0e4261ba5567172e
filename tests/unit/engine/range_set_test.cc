#include "engine/queue/range_set.h"

#include <gtest/gtest.h>

#include <bitset>
#include <random>

namespace sluice::engine::queue {
namespace {

constexpr size_t size = 64;
using Model = std::bitset<size>;

Model model_of(const std::vector<Range>& ranges) {
  Model model;
  for (const Range range : ranges)
    for (uint32_t i = 0; i < range.count; ++i) model.set(range.first + i);
  return model;
}

/// Ascending, not empty, and not touching.
void expect_tidy(const std::vector<Range>& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_GT(ranges[i].count, 0u);
    if (i == 0) continue;
    EXPECT_GT(ranges[i].first, ranges[i - 1].first + ranges[i - 1].count);
  }
}

std::vector<Range> random_set(std::mt19937& random) {
  std::uniform_int_distribution<uint32_t> up_to_8(0, 8);
  std::vector<Range> ranges;
  for (uint32_t at = up_to_8(random); at < size;) {
    const uint32_t count = std::min<uint32_t>(1 + up_to_8(random), size - at);
    ranges.push_back({at, count});
    at += count + up_to_8(random);  // neighbours may touch
  }
  return ranges;
}

TEST(RangeSet, behaves_as_a_set_of_numbers) {
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    const auto a = random_set(random), b = random_set(random);
    for (const auto& [result, expected] : {std::pair{united(a, b), model_of(a) | model_of(b)},
                                           std::pair{common(a, b), model_of(a) & model_of(b)},
                                           std::pair{without(a, b), model_of(a) & ~model_of(b)}}) {
      ASSERT_EQ(model_of(result), expected);
      expect_tidy(result);
      EXPECT_EQ(count_of(result), expected.count());
      for (uint32_t n = 0; n < size; ++n) ASSERT_EQ(contains(result, n), expected[n]);
    }
  }
}

TEST(RangeSet, reaches_to_the_last_number) {
  const std::vector<Range> all{{0, UINT32_MAX}}, last{{UINT32_MAX - 1, 1}};
  EXPECT_EQ(count_of(without(all, last)), UINT32_MAX - 1ull);
  EXPECT_TRUE(contains(united(all, last), UINT32_MAX - 1));
}

}  // namespace
}  // namespace sluice::engine::queue
