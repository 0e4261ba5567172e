#include "engine/senders.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace sluice::engine {
namespace {

const Senders senders({{.pattern = "*@orders.example", .weight = 1000, .source = "fast"},
                       {.pattern = "*@news.example", .weight = 2}});

TEST(Senders, have_a_flow_for_each_domain_that_is_named_with_its_weight) {
  const Flow orders = senders.flow_of("orders.example"), news = senders.flow_of("news.example");
  EXPECT_EQ(orders.weight, 1000);
  EXPECT_EQ(news.weight, 2);
  EXPECT_NE(orders.number, news.number);
  EXPECT_GT(orders.number, Senders::shared_flows);
  EXPECT_EQ(senders.flow_of("sub.orders.example").weight, 1);
}

TEST(Senders, spread_all_other_domains_over_a_fixed_number_of_flows) {
  std::map<uint16_t, int> domains;
  for (int n = 0; n < 6400; ++n) {
    const Flow flow = senders.flow_of(fmt::format("d{}.example", n));
    EXPECT_EQ(flow.weight, 1);
    ++domains[flow.number];
  }
  EXPECT_EQ(domains.size(), Senders::shared_flows);
  for (const auto& [number, count] : domains) {
    EXPECT_GE(number, 1);
    EXPECT_NEAR(count, 100, 60) << number;
  }
}

TEST(Senders, have_a_source_where_they_name_one) {
  EXPECT_EQ(senders.source_of("orders.example"), "fast");
  EXPECT_EQ(senders.source_of("news.example"), "");
  EXPECT_EQ(senders.source_of("x.example"), "");
}

TEST(Senders, give_all_others_what_the_star_says) {
  const Senders star({{.pattern = "*", .weight = 5, .source = "slow"},
                      {.pattern = "*@news.example", .weight = 2}});
  for (const std::string_view domain : {"x.example", ""}) {  // "": the null sender
    EXPECT_EQ(star.flow_of(domain).weight, 5);
    EXPECT_EQ(star.source_of(domain), "slow");
  }
  EXPECT_EQ(star.source_of("news.example"), "") << "a section of its own says all";
}

}  // namespace
}  // namespace sluice::engine
