#include "spool/deferrals.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace sluice::spool {
namespace {

Deferral deferral(uint32_t recipient, uint16_t attempt) {
  return {.recipient = recipient,
          .attempt = attempt,
          .refusals = 3,
          .transfers = 65535,
          .was_told = recipient % 2 == 0,
          .is_intent = recipient % 3 == 0,
          .next_attempt = io::WallTime(std::chrono::seconds(recipient))};
}

TEST(Deferrals, are_what_was_put_whatever_the_order) {
  std::mt19937 random(7);
  Deferrals deferrals;
  std::map<uint32_t, uint16_t> expected;
  for (int i = 0; i < 50'000; ++i) {
    const auto recipient = static_cast<uint32_t>(random() % 5000);
    if (random() % 3 == 0) {
      deferrals.erase(recipient);
      expected.erase(recipient);
    } else {
      const auto attempt = static_cast<uint16_t>(random());
      deferrals.put(deferral(recipient, attempt));
      expected[recipient] = attempt;
    }
  }
  EXPECT_EQ(deferrals.size(), expected.size());
  auto known = expected.begin();
  for (const auto& [recipient, found] : deferrals) {
    ASSERT_NE(known, expected.end());
    EXPECT_EQ(recipient, known->first);
    EXPECT_EQ(found.attempt, known->second);
    EXPECT_EQ(found.recipient, recipient);
    EXPECT_EQ(found.transfers, 65535);
    EXPECT_EQ(found.was_told, recipient % 2 == 0);
    EXPECT_EQ(found.is_intent, recipient % 3 == 0);
    EXPECT_EQ(found.next_attempt, io::WallTime(std::chrono::seconds(recipient)));
    ++known;
  }
  EXPECT_EQ(known, expected.end());
}

TEST(Deferrals, begin_anywhere) {
  Deferrals deferrals;
  for (const uint32_t recipient : {3u, 64u, 700u}) deferrals.put(deferral(recipient, 1));
  EXPECT_EQ(deferrals.lower_bound(0)->first, 3u);
  EXPECT_EQ(deferrals.lower_bound(4)->first, 64u);
  EXPECT_EQ(deferrals.lower_bound(64)->first, 64u);
  EXPECT_EQ(deferrals.lower_bound(65)->first, 700u);
  EXPECT_EQ(deferrals.lower_bound(701), deferrals.end());
  EXPECT_EQ(deferrals.find(700)->second.attempt, 1);
  EXPECT_EQ(deferrals.find(701), deferrals.end());
  EXPECT_EQ(deferrals.find(4'000'000'000), deferrals.end());
}

TEST(Deferrals, tell_who_is_there_by_the_bit) {
  Deferrals deferrals;
  deferrals.put(deferral(1, 1));
  deferrals.put(deferral(127, 1));
  ASSERT_EQ(deferrals.words(), 2u);
  EXPECT_EQ(deferrals.present(0), 2u);
  EXPECT_EQ(deferrals.present(1), uint64_t{1} << 63);
  deferrals.erase(1);
  EXPECT_FALSE(deferrals.contains(1));
  EXPECT_EQ(deferrals.present(0), 0u);
  EXPECT_EQ(deferrals.size(), 1u);
}

}  // namespace
}  // namespace sluice::spool
