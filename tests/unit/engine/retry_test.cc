#include "engine/queue/retry.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::engine::queue {
namespace {

using namespace std::chrono_literals;
using smtp::Result;
using smtp::Scope;

DestinationPolicy policy() {
  DestinationPolicy p;
  p.retry.first = 5min, p.retry.factor = 2, p.retry.ceiling = 4h, p.retry.jitter = 0.2;
  p.expire.normal = 24h * 5;
  return p;
}

constexpr uint64_t middle = uint64_t{1} << 63;  // no jitter

TEST(Retry, doubles_from_first_up_to_the_ceiling) {
  const auto retry = policy().retry;
  EXPECT_EQ(retry_delay(retry, 1, middle), 5min);
  EXPECT_EQ(retry_delay(retry, 2, middle), 10min);
  EXPECT_EQ(retry_delay(retry, 6, middle), 160min);
  EXPECT_EQ(retry_delay(retry, 7, middle), 4h);
  EXPECT_EQ(retry_delay(retry, 60'000, middle), 4h);
}

TEST(Retry, spreads_a_cohort_evenly_over_the_jitter_and_never_beyond) {
  const auto retry = policy().retry;
  std::mt19937_64 random(7);
  int early = 0;
  for (int i = 0; i < 10'000; ++i) {
    const io::Duration delay = retry_delay(retry, 1, random());
    ASSERT_GE(delay, 4min);
    ASSERT_LE(delay, 6min);
    early += delay < 5min;
  }
  EXPECT_GT(early, 4'800);
  EXPECT_LT(early, 5'200);
}

TEST(Retry, follows_a_schedule_whose_last_entry_repeats) {
  auto retry = policy().retry;
  retry.schedule = {1min, 5min, 1h};
  EXPECT_EQ(retry_delay(retry, 1, middle), 1min);
  EXPECT_EQ(retry_delay(retry, 2, middle), 5min);
  EXPECT_EQ(retry_delay(retry, 3, middle), 1h);
  EXPECT_EQ(retry_delay(retry, 9, middle), 1h);
}

TEST(Decide, only_a_permanent_refusal_of_the_recipient_or_its_message_fails_it) {
  for (const Scope scope : {Scope::recipient, Scope::message})
    EXPECT_EQ(decide({.result = Result::permanent, .scope = scope}, policy(), 1, 0s, middle).kind,
              spool::OutcomeKind::failed);
  for (const Scope scope : {Scope::session, Scope::host})
    EXPECT_EQ(decide({.result = Result::permanent, .scope = scope}, policy(), 1, 0s, middle).kind,
              spool::OutcomeKind::deferred);
}

TEST(Decide, an_unknown_outcome_is_tried_again_and_said_to_be_in_doubt) {
  const Decision decision =
      decide({.result = Result::unknown, .scope = Scope::message}, policy(), 1, 0s, middle);
  EXPECT_EQ(decision.kind, spool::OutcomeKind::deferred);
  EXPECT_TRUE(decision.in_doubt);
  EXPECT_EQ(decision.delay, 5min);
}

TEST(Decide, a_next_attempt_after_expiry_does_not_come) {
  const smtp::Verdict verdict{.result = Result::transient, .scope = Scope::recipient};
  const io::Duration days5 = 24h * 5;
  EXPECT_EQ(decide(verdict, policy(), 1, days5 - 5min, middle).kind, spool::OutcomeKind::deferred);
  EXPECT_EQ(decide(verdict, policy(), 1, days5 - 5min + 1ns, middle).kind,
            spool::OutcomeKind::expired);
}

TEST(Decide, success_is_delivered_whatever_the_age) {
  EXPECT_EQ(decide({.result = Result::success}, policy(), 3, 24h * 30, middle).kind,
            spool::OutcomeKind::delivered);
}

}  // namespace
}  // namespace sluice::engine::queue
