#include "tools/sink/fault_plan.h"

#include <gtest/gtest.h>

namespace sluice::tools::sink {
namespace {

using engine::smtp::Stage;
using namespace std::chrono_literals;

TEST(FaultPlan, takes_replies_words_and_shares) {
  FaultPlan plan;
  EXPECT_TRUE(plan.add_fault("rcpt:451"));
  EXPECT_EQ(plan.decide(Stage::rcpt, 0).action, Action::reply);
  EXPECT_EQ(plan.decide(Stage::rcpt, UINT64_MAX).reply, "451 4.0.0 As asked for");
  EXPECT_EQ(plan.decide(Stage::mail, 0).action, Action::none);
  EXPECT_TRUE(plan.add_fault("mail:550 5.7.1 ask a@b"));
  EXPECT_EQ(plan.decide(Stage::mail, 0).reply, "550 5.7.1 ask a@b");
  EXPECT_TRUE(plan.add_fault("data:550 5.7.1 ask a@b@25"));
  EXPECT_EQ(plan.decide(Stage::data, UINT64_MAX / 100 * 24).reply, "550 5.7.1 ask a@b");
  EXPECT_EQ(plan.decide(Stage::data, UINT64_MAX / 100 * 26).action, Action::none);
  EXPECT_TRUE(plan.add_delay("final_dot=1500ms"));
  EXPECT_EQ(plan.decide(Stage::final_dot, 0).delay, 1500ms);
}

TEST(FaultPlan, faults_of_one_phase_share_its_cases) {
  FaultPlan plan;
  ASSERT_TRUE(plan.add_fault("quit:drop@30"));
  ASSERT_TRUE(plan.add_fault("quit:stall@0.5"));
  ASSERT_TRUE(plan.add_fault("quit:garbage@69.5"));
  const auto at = [&](uint64_t permille) {
    return plan.decide(Stage::quit, UINT64_MAX / 1000 * permille).action;
  };
  EXPECT_EQ(at(299), Action::drop);
  EXPECT_EQ(at(302), Action::stall);
  EXPECT_EQ(at(306), Action::garbage);
  EXPECT_EQ(at(999), Action::garbage);
  EXPECT_FALSE(plan.add_fault("quit:slow@1"));
}

TEST(FaultPlan, says_what_is_wrong) {
  const auto fault = [](std::string_view text) { return FaultPlan().add_fault(text).error(); };
  EXPECT_EQ(fault("rcpt"), "'rcpt': expected PHASE:ACTION, as in rcpt:451@10");
  EXPECT_EQ(fault("foo:drop"),
            "'foo' is no phase of a sink; phases: greeting, ehlo, starttls, mail, rcpt, data, "
            "final_dot, rset, "
            "quit, connect, block");
  EXPECT_TRUE(fault("rcpt:explode").starts_with("'explode' is no action; actions: a reply"));
  EXPECT_TRUE(fault("rcpt:99").starts_with("'99' is no action"));
  EXPECT_TRUE(fault("rcpt:651").starts_with("'651' is no action"));
  EXPECT_EQ(fault("rcpt:451@0"), "'451@0': a share is above 0 and at most 100 percent");
  EXPECT_EQ(fault("rcpt:451@101"), "'451@101': a share is above 0 and at most 100 percent");
  EXPECT_EQ(fault("connect:451"), "connect has no answer: it takes drop only");
  EXPECT_EQ(fault("block:slow"), "block has no answer: it takes drop and stall");
  const auto delay = [](std::string_view text) { return FaultPlan().add_delay(text).error(); };
  EXPECT_EQ(delay("mail"), "'mail': expected PHASE=TIME, as in final_dot=5s");
  EXPECT_EQ(delay("mail=5"), "'mail=5': a time is a number and a unit, as in 250ms, 5s, 2m");
  EXPECT_EQ(delay("connect=5s"), "connect cannot be delayed; delay the greeting");
}

}  // namespace
}  // namespace sluice::tools::sink
