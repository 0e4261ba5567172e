#include "spool/waits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

namespace sluice::spool {
namespace {

using namespace std::chrono_literals;

io::WallTime at(io::Duration since_1970) { return io::WallTime(since_1970); }

/// Refused every ten minutes from 1000 s on.
Wait refusal(uint16_t number) {
  const io::WallTime time = at(1000s + (number - 1) * 600s);
  return {.attempts = number, .refusals = number, .at = time, .next_attempt = time + 600s};
}

TEST(Waits, count_the_same_in_any_order_and_however_often_they_are_read) {
  std::vector<Wait> all;
  for (uint16_t number = 1; number <= 5; ++number) all.push_back(refusal(number));
  do {
    Waits waits;
    for (const Wait& wait : all) waits.add(wait);
    waits.add(all.front());
    EXPECT_EQ(waits.attempts(), 5);
    EXPECT_EQ(waits.refusals(), 5);
    EXPECT_EQ(waits.next_attempt(), at(1000s + 5 * 600s));
    const Deferral late = waits.caught_up({.attempt = 2, .next_attempt = at(2000s)});
    EXPECT_EQ(late.attempt, 2 + 3) << "refused at 2200, 2800 and 3400";
    EXPECT_EQ(late.refusals, 3);
    EXPECT_EQ(late.next_attempt, at(1000s + 5 * 600s));
  } while (
      std::ranges::next_permutation(all, {}, [](const Wait& wait) { return wait.refusals; }).found);
}

TEST(Waits, that_came_before_its_time_are_none_of_a_recipient) {
  Waits waits;
  for (uint16_t number = 1; number <= 5; ++number) waits.add(refusal(number));
  const Deferral own = waits.caught_up({.attempt = 7, .transfers = 1, .next_attempt = at(1h * 9)});
  EXPECT_EQ(own.attempt, 7);
  EXPECT_EQ(own.refusals, 0);
  EXPECT_EQ(own.transfers, 1);
  EXPECT_EQ(own.next_attempt, at(1h * 9));
}

TEST(Waits, a_connection_that_was_taken_ends_the_row_and_is_no_attempt) {
  Waits waits;
  for (uint16_t number = 1; number <= 3; ++number) waits.add(refusal(number));
  const io::WallTime taken = at(1000s + 3 * 600s);
  waits.add({.attempts = 3, .refusals = 0, .at = taken, .next_attempt = taken});
  EXPECT_EQ(waits.attempts(), 3);
  EXPECT_EQ(waits.refusals(), 0);
  EXPECT_EQ(waits.caught_up({.attempt = 1, .next_attempt = at(0s)}).attempt, 4);
  EXPECT_EQ(waits.caught_up({.attempt = 1, .next_attempt = at(0s)}).refusals, 0);
  Wait again = refusal(4);
  again.refusals = 1;
  waits.add(again);
  EXPECT_EQ(waits.caught_up({.attempt = 1, .next_attempt = at(0s)}).attempt, 5);
  EXPECT_EQ(waits.caught_up({.attempt = 1, .next_attempt = at(0s)}).refusals, 1)
      << "in a row, whatever came before";
}

/// FORMAT.md section 5.2: in a mail segment recipients join while others wait.
TEST(Waits, speak_of_recipients_up_to_the_one_they_name) {
  std::vector<Wait> all{{.recipient = 3, .attempts = 1, .refusals = 1, .at = at(100s)},
                        {.recipient = 3, .attempts = 2, .refusals = 2, .at = at(200s)},
                        {.recipient = 9, .attempts = 1, .refusals = 2, .at = at(200s)},
                        {.recipient = 3, .attempts = 4, .refusals = 4, .at = at(400s)},
                        {.recipient = 5, .attempts = 3, .refusals = 4, .at = at(400s)},
                        {.recipient = 9, .attempts = 3, .refusals = 4, .at = at(400s)},
                        {.recipient = 20, .attempts = 1, .refusals = 4, .at = at(400s)}};
  const auto key = [](const Wait& w) { return std::tuple(w.recipient, w.attempts); };
  std::ranges::sort(all, {}, key);
  do {
    Waits waits;
    for (const Wait& wait : all) waits.add(wait);
    waits.add(all.front());
    for (const uint32_t recipient : {0u, 3u}) EXPECT_EQ(waits.attempts_of(recipient), 4);
    for (const uint32_t recipient : {4u, 5u, 9u}) EXPECT_EQ(waits.attempts_of(recipient), 3);
    for (const uint32_t recipient : {10u, 20u}) EXPECT_EQ(waits.attempts_of(recipient), 1);
    EXPECT_EQ(waits.attempts_of(21), 0) << "came after the last of them";
    EXPECT_EQ(waits.attempts(), 4) << "of a campaign, whose recipients were all there";
  } while (std::ranges::next_permutation(all, {}, key).found);
}

TEST(Waits, nothing_counts_for_what_may_have_arrived) {
  Waits waits;
  waits.add(refusal(1));
  EXPECT_EQ(waits.caught_up({.attempt = 3, .is_intent = true}).attempt, 3);
}

}  // namespace
}  // namespace sluice::spool
