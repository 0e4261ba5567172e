#include "engine/intake/sender_flows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace sluice::engine::intake {
namespace {

const std::vector<SenderPolicy> two{{.pattern = "*@orders.example", .weight = 1000},
                                    {.pattern = "*@news.example", .weight = 2}};

TEST(SenderFlows, has_one_for_each_domain_that_is_named_with_its_weight) {
  const SenderFlows flows(two);
  const Flow orders = flows.of("a@orders.example"), news = flows.of("a@news.example");
  EXPECT_EQ(orders.weight, 1000);
  EXPECT_EQ(news.weight, 2);
  EXPECT_NE(orders.number, news.number);
  EXPECT_EQ(flows.of("\"b@c\"@ORDERS.Example").number, orders.number);
  EXPECT_GT(orders.number, SenderFlows::shared);
  EXPECT_EQ(flows.of("a@sub.orders.example").weight, 1);
}

TEST(SenderFlows, spreads_all_other_domains_over_a_fixed_number) {
  const SenderFlows flows(two);
  std::map<uint16_t, int> domains;
  for (int n = 0; n < 6400; ++n) {
    const Flow flow = flows.of(fmt::format("a@d{}.example", n));
    EXPECT_EQ(flow.weight, 1);
    ++domains[flow.number];
  }
  EXPECT_EQ(domains.size(), SenderFlows::shared);
  for (const auto& [number, count] : domains) {
    EXPECT_GE(number, 1);
    EXPECT_NEAR(count, 100, 60) << number;
  }
}

TEST(SenderFlows, gives_all_others_the_weight_of_the_star) {
  const SenderFlows flows({{.pattern = "*", .weight = 5}});
  EXPECT_EQ(flows.of("a@x.example").weight, 5);
  EXPECT_EQ(flows.of("").weight, 5) << "the null sender";
  EXPECT_EQ(flows.of(std::string(1000, 'x')).weight, 5);
}

TEST(Flow, is_unpacked_as_it_was_packed_and_nothing_is_the_flow_of_an_earlier_run) {
  for (const Flow flow : {Flow{}, Flow{.number = 65535, .weight = 1000}, Flow{.number = 1}}) {
    EXPECT_EQ(Flow::unpacked(flow.packed()).number, flow.number);
    EXPECT_EQ(Flow::unpacked(flow.packed()).weight, flow.weight);
  }
  EXPECT_EQ(Flow{}.packed(), 0u);
}

}  // namespace
}  // namespace sluice::engine::intake
