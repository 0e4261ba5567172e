// What all combinations of MXes, addresses and look-ups that failed come to.
#include "engine/dns/mx_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/sim/world/random.h"

namespace sluice::engine::dns {
namespace {

using namespace std::chrono_literals;
using Status = RecordSet::Status;

constexpr io::Instant start{1h};
constexpr uint64_t seed = 20261122;

io::SocketAddress address(const std::string& host, uint16_t port) {
  return *io::SocketAddress::parse(fmt::format("[{}]:{}", host, port));
}

RecordSet draw_addresses(sim::Random& random, bool v6) {
  RecordSet set{.status = static_cast<Status>(random.below(4)),
                .good_until = start + random.between(io::Duration(1s), 1000s)};
  if (set.status == Status::failed) set.reason = "SERVFAIL from 127.0.0.1:53";
  if (set.status == Status::found)
    for (uint64_t i = random.between(1, 3); i > 0; --i)
      set.addresses.push_back(address(v6 ? fmt::format("2001:db8::{:x}", random.between(1, 40))
                                         : fmt::format("192.0.2.{}", random.between(1, 40)),
                                      1));
  return set;
}

bool is_unknown(const Candidate& c) { return !c.v6.is_definite() || !c.v4.is_definite(); }

std::vector<io::SocketAddress> addresses(const Candidate& c) {
  std::vector<io::SocketAddress> all;
  for (const auto* set : {&c.v6, &c.v4})
    for (const auto& a : set->addresses)
      all.push_back(*io::SocketAddress::parse(
          fmt::format("{}:{}", a.text().substr(0, a.text().rfind(':')), c.port)));
  return all;
}

TEST(MxPlan, has_every_address_below_our_own_preference_or_one_failure_that_is_true) {
  sim::Random random(seed);
  std::set<std::string> seen;  // the enhanced codes that came up
  for (int round = 0; round < 20'000; ++round) {
    RecordSet mx{.status = static_cast<Status>(random.below(4)), .good_until = start + 500s};
    if (mx.status == Status::found)
      for (uint64_t i = random.between(1, 5); i > 0; --i)
        mx.mx.push_back({static_cast<uint16_t>(random.below(4) * 10),
                         random.chance(0.1) ? "" : fmt::format("mx{}.test", random.below(6))});
    std::vector<Candidate> hosts = candidates("example.test", 25, mx);
    for (Candidate& c : hosts)
      c.v6 = draw_addresses(random, true), c.v4 = draw_addresses(random, false);
    Ourselves we{random.chance(0.3) ? "mx1.test" : "here.test", {}};
    if (random.chance(0.3)) we.addresses = {address("192.0.2.7", 25), address("2001:db8::7", 25)};

    const HostList list = mx_plan("example.test", mx, hosts, we);
    const std::string about = fmt::format("seed {} round {}: {}", seed, round,
                                          list.failure ? list.failure->reason : "hosts");
    ASSERT_EQ(list.hosts.empty(), list.failure.has_value()) << about;
    ASSERT_TRUE(std::ranges::is_sorted(list.hosts, {}, &Host::preference)) << about;

    unsigned our_preference = UINT32_MAX;
    for (const Candidate& c : hosts) {
      const auto all = addresses(c);
      const bool is_us = c.name == we.hostname || std::ranges::any_of(all, [&](const auto& a) {
                           return std::ranges::find(we.addresses, a) != we.addresses.end();
                         });
      if (is_us) our_preference = std::min<unsigned>(our_preference, c.preference);
    }
    size_t expected = 0;
    bool is_open = false;
    for (const Candidate& c : hosts) {
      if (c.preference >= our_preference) continue;
      expected += addresses(c).size();
      is_open |= is_unknown(c);
      for (const auto& a : addresses(c))
        EXPECT_TRUE(std::ranges::any_of(list.hosts, [&](const Host& h) {
          return h.address == a && h.name == c.name && h.preference == c.preference;
        })) << about;
    }
    EXPECT_EQ(list.hosts.size(), expected) << about;
    if (!list.failure) continue;
    const bool is_null = mx.status == Status::found && hosts.empty();
    const bool may_heal = mx.status == Status::failed || (!hosts.empty() && is_open);
    EXPECT_EQ(list.failure->result == smtp::Result::transient, may_heal) << about;
    const auto& e = list.failure->enhanced;
    EXPECT_EQ(e.status == 4, may_heal) << about;
    EXPECT_EQ(e.status == 5 && e.detail == 10, is_null) << about;
    EXPECT_TRUE(mx.status != Status::no_name || e.detail == 2) << about;
    seen.insert(fmt::format("{}.{}.{}", e.status, e.subject, e.detail));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"4.4.3", "5.1.10", "5.1.2", "5.4.4", "5.4.6"}));
}

TEST(MxPlan, is_good_for_no_longer_than_the_least_of_what_it_is_made_of) {
  const RecordSet mx{.status = Status::found, .mx = {{10, "a.test"}}, .good_until = start + 90s};
  auto hosts = candidates("example.test", 25, mx);
  hosts[0].v4 = {
      .status = Status::found, .addresses = {address("192.0.2.1", 1)}, .good_until = start + 80s};
  hosts[0].v6 = {.status = Status::no_data, .good_until = start + 70s};
  EXPECT_EQ(mx_plan("example.test", mx, hosts, {}).good_until, start + 70s);
}

HostList draw_list(sim::Random& random) {
  HostList list;
  for (uint16_t preference = 0; preference < random.below(4); ++preference)
    for (uint64_t mx = random.below(4); mx > 0; --mx) {
      for (uint64_t i = random.below(3); i > 0; --i)
        list.hosts.push_back({fmt::format("mx{}-{}", preference, mx),
                              address(fmt::format("2001:db8::{:x}", random.below(60)), 25),
                              preference});
      for (uint64_t i = random.below(4); i > 0; --i)
        list.hosts.push_back({fmt::format("mx{}-{}", preference, mx),
                              address(fmt::format("192.0.2.{}", random.below(60)), 25),
                              preference});
    }
  return list;
}

TEST(AttemptOrder, has_each_address_once_in_ascending_preference_and_MX_by_MX) {
  sim::Random random(seed);
  for (int round = 0; round < 5000; ++round) {
    const HostList list = draw_list(random);
    const auto order = attempt_order(list, random.next());
    std::set<std::string> tried, all, finished;
    std::string current;
    for (const uint16_t i : order) {
      EXPECT_TRUE(tried.insert(list.hosts.at(i).address.text()).second) << "seed " << seed;
      if (list.hosts[i].name == current) continue;
      EXPECT_TRUE(finished.insert(current).second);
      current = list.hosts[i].name;
      EXPECT_FALSE(finished.contains(current)) << current << " in two places, seed " << seed;
    }
    for (const Host& host : list.hosts) all.insert(host.address.text());
    EXPECT_EQ(tried, all);
    EXPECT_TRUE(
        std::ranges::is_sorted(order, {}, [&](uint16_t i) { return list.hosts[i].preference; }));
  }
}

TEST(AttemptOrder, spreads_attempts_over_MXes_of_equal_preference) {
  HostList list;
  for (int i = 0; i < 4; ++i)
    list.hosts.push_back(
        {fmt::format("mx{}", i), address(fmt::format("192.0.2.{}", i + 1), 25), 10});
  sim::Random random(seed);
  std::array<int, 4> first{};
  for (int round = 0; round < 4000; ++round) ++first.at(attempt_order(list, random.next()).front());
  for (const int count : first) EXPECT_NEAR(count, 1000, 150);
}

TEST(AttemptOrder, takes_the_families_of_one_MX_in_turns) {
  HostList list;
  for (const char* text : {"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"})
    list.hosts.push_back({"mx", address(text, 25), 10});
  for (uint64_t random = 0; random < 100; ++random) {
    std::string families;
    for (const uint16_t i : attempt_order(list, random))
      families += list.hosts[i].address.family() == AF_INET6 ? '6' : '4';
    EXPECT_EQ(families, "64644");
  }
}

}  // namespace
}  // namespace sluice::engine::dns
