#include "engine/source_choice.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace sluice::engine {
namespace {

SourceAddress address(const std::string& local, uint32_t weight) {
  return {.source = "news", .local = *io::SocketAddress::parse(local), .weight = weight};
}

const std::vector<SourceAddress> pool = {address("192.0.2.1:0", 3), address("[2001:db8::1]:0", 1),
                                         address("192.0.2.2:0", 1)};

TEST(SourceChoice, keeps_to_the_weights_in_any_row_of_sessions) {
  for (const uint64_t random : {uint64_t{0}, UINT64_MAX, uint64_t{0x123456789abcdef0}}) {
    SourceChoice choice(pool, random);
    int first = 0;
    for (int n = 1; n <= 1000; ++n) {
      first += choice.next(AF_INET)->text() == "192.0.2.1";
      EXPECT_NEAR(first, n * 0.75, 3) << n;
    }
  }
}

TEST(SourceChoice, begins_anywhere_so_that_single_sessions_keep_to_the_weights_too) {
  int first = 0;
  for (uint64_t n = 0; n < 1000; ++n)
    first += SourceChoice(pool, n * 0x6a09e667f3bcc909).next(AF_INET)->text() == "192.0.2.1";
  EXPECT_NEAR(first, 750, 50);
}

TEST(SourceChoice, has_the_family_that_is_wanted_or_nothing) {
  SourceChoice choice(pool, 7);
  for (int n = 0; n < 10; ++n) EXPECT_EQ(choice.next(AF_INET6)->text(), "2001:db8::1");
  EXPECT_EQ(SourceChoice(std::span(pool).first(1), 7).next(AF_INET6), nullptr);
  EXPECT_EQ(SourceChoice({}, 7).next(AF_INET), nullptr);
}

TEST(SourceChoice, knows_the_others_of_a_family_in_a_circle) {
  const SourceChoice choice(pool, 7);
  EXPECT_EQ(choice.other(pool[0]).text(), "192.0.2.2");
  EXPECT_EQ(choice.other(pool[2]).text(), "192.0.2.1");
  EXPECT_EQ(choice.other(pool[1]).text(), "2001:db8::1");
}

dns::HostListPtr hosts(const std::vector<std::string>& remotes) {
  auto list = std::make_shared<dns::HostList>();
  for (const std::string& remote : remotes)
    list->hosts.push_back({"mx.test", *io::SocketAddress::parse(remote), 10});
  return list;
}

TEST(ReachableFrom, leaves_out_hosts_of_a_family_without_an_address) {
  const auto both = hosts({"192.0.2.77:25", "[2001:db8::77]:25"});
  EXPECT_EQ(reachable_from(pool, both), both);
  EXPECT_EQ(reachable_from({}, both), both);
  const auto rest = reachable_from(std::span(pool).first(1), both);
  ASSERT_EQ(rest->hosts.size(), 1u);
  EXPECT_EQ(rest->hosts[0].address.text(), "192.0.2.77:25");
  EXPECT_FALSE(rest->failure);
}

TEST(ReachableFrom, has_the_operator_to_blame_when_no_host_is_left) {
  const auto none =
      reachable_from(std::span(pool).first(1), hosts({"[2001:db8::77]:25", "[2001:db8::78]:25"}));
  EXPECT_TRUE(none->hosts.empty());
  ASSERT_TRUE(none->failure);
  EXPECT_EQ(none->failure->result, smtp::Result::transient);
  EXPECT_EQ(none->failure->reason, "source \"news\" has no IPv6 address, and the hosts no other");
}

}  // namespace
}  // namespace sluice::engine
