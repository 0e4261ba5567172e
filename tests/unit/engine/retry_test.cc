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

Decision decide(const smtp::Verdict& verdict, const DestinationPolicy& p, uint32_t attempts,
                io::Duration age, InDoubtPolicy in_doubt = InDoubtPolicy::resend) {
  return queue::decide(
      verdict, p, in_doubt,
      {.attempts = attempts, .transfers = attempts, .age = age, .lifetime = p.expire.normal},
      middle);
}

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
    EXPECT_EQ(decide({.result = Result::permanent, .scope = scope}, policy(), 1, 0s).kind,
              spool::OutcomeKind::failed);
  for (const Scope scope : {Scope::session, Scope::host})
    EXPECT_EQ(decide({.result = Result::permanent, .scope = scope}, policy(), 1, 0s).kind,
              spool::OutcomeKind::deferred);
}

TEST(Decide, an_unknown_outcome_is_tried_again_and_said_to_be_in_doubt) {
  const Decision decision =
      decide({.result = Result::unknown, .scope = Scope::message}, policy(), 1, 0s);
  EXPECT_EQ(decision.kind, spool::OutcomeKind::deferred);
  EXPECT_TRUE(decision.in_doubt);
  EXPECT_EQ(decision.delay, 5min);
}

TEST(Decide, who_expires_before_another_attempt_waits_until_then_and_no_longer) {
  const smtp::Verdict verdict{.result = Result::transient, .scope = Scope::recipient};
  const io::Duration days5 = 24h * 5;
  Decision decision = decide(verdict, policy(), 1, days5 - 6min);
  EXPECT_EQ(decision.delay, 5min);
  EXPECT_FALSE(decision.is_last);
  decision = decide(verdict, policy(), 1, days5 - 2min);
  EXPECT_EQ(decision.kind, spool::OutcomeKind::deferred);
  EXPECT_EQ(decision.delay, 2min);
  EXPECT_TRUE(decision.is_last);
  EXPECT_EQ(decide(verdict, policy(), 1, days5).kind, spool::OutcomeKind::expired);
}

TEST(Decide, failures_on_an_open_session_have_an_interval_and_a_number_of_their_own) {
  DestinationPolicy p = policy();
  p.retry.transfer_interval = 120s, p.retry.transfer_attempts_max = 3;
  const smtp::Verdict verdict{.result = Result::transient, .scope = Scope::session};
  for (uint32_t n = 1; n < 3; ++n) {
    EXPECT_EQ(decide(verdict, p, n, 1h).kind, spool::OutcomeKind::deferred);
    EXPECT_EQ(decide(verdict, p, n, 1h).delay, 120s);
  }
  EXPECT_EQ(decide(verdict, p, 3, 1h).kind, spool::OutcomeKind::failed);
}

TEST(Decide, an_unknown_outcome_is_held_or_given_up_where_the_operator_says_so) {
  const smtp::Verdict verdict{.result = Result::unknown, .scope = Scope::message};
  const Decision held = decide(verdict, policy(), 1, 1h, InDoubtPolicy::hold);
  EXPECT_EQ(held.kind, spool::OutcomeKind::deferred);
  EXPECT_TRUE(held.is_held);
  EXPECT_EQ(held.delay, 24h * 5 - 1h) << "it expires like all that waits";
  EXPECT_EQ(decide(verdict, policy(), 1, 1h, InDoubtPolicy::never).kind,
            spool::OutcomeKind::in_doubt);
}

struct Combination {
  Result result;
  Scope scope;
  InDoubtPolicy in_doubt;
  uint32_t attempts, transfers_max;
  io::Duration age;
};

void check(const Combination& c) {
  using enum spool::OutcomeKind;
  DestinationPolicy p = policy();
  p.retry.transfer_attempts_max = c.transfers_max;
  const Decision d =
      decide({.result = c.result, .scope = c.scope}, p, c.attempts, c.age, c.in_doubt);
  const bool is_unknown = c.result == Result::unknown;
  EXPECT_EQ(d.kind == delivered, c.result == Result::success);
  EXPECT_EQ(d.in_doubt, is_unknown);
  EXPECT_EQ(d.kind == spool::OutcomeKind::in_doubt,
            is_unknown && c.in_doubt == InDoubtPolicy::never);
  EXPECT_EQ(d.is_held, d.kind == deferred && is_unknown && c.in_doubt == InDoubtPolicy::hold);
  if (d.kind == failed) {
    const bool is_exhausted = c.transfers_max > 0 && c.attempts >= c.transfers_max;
    EXPECT_TRUE(c.result == Result::permanent || (c.result == Result::transient && is_exhausted));
  }
  if (d.kind == deferred) {
    EXPECT_GE(d.delay, 0s);
    EXPECT_LE(c.age + d.delay, p.expire.normal);
  }
}

TEST(Decide, gives_every_verdict_exactly_one_consequence) {
  for (const Result result :
       {Result::success, Result::transient, Result::permanent, Result::unknown})
    for (const Scope scope : {Scope::recipient, Scope::message, Scope::session, Scope::host})
      for (const auto in_doubt : {InDoubtPolicy::resend, InDoubtPolicy::hold, InDoubtPolicy::never})
        for (const uint32_t attempts : {1u, 2u, 50u, 70'000u})
          for (const uint32_t transfers_max : {0u, 2u})
            for (const int days : {0, 4, 9})
              check({result, scope, in_doubt, attempts, transfers_max, 24h * days});
}

TEST(Decide, success_is_delivered_whatever_the_age) {
  EXPECT_EQ(decide({.result = Result::success}, policy(), 3, 24h * 30).kind,
            spool::OutcomeKind::delivered);
}

}  // namespace
}  // namespace sluice::engine::queue
