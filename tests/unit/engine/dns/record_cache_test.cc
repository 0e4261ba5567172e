#include "engine/dns/record_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/sim/world/random.h"

namespace sluice::engine::dns {
namespace {

using namespace std::chrono_literals;

constexpr io::Instant start{1h};

io::SocketAddress ip(const std::string& text) {
  return *io::SocketAddress::parse("[" + text + "]:0", 1);
}

RecordSet sample(uint64_t i, io::Instant good_until) {
  RecordSet set{.status = RecordSet::Status::found, .good_until = good_until};
  for (uint64_t k = 0; k < i % 5; ++k)
    set.mx.push_back({static_cast<uint16_t>(k * 10), fmt::format("mx{}.d{}.test", k, i)});
  if (set.mx.empty()) set.status = RecordSet::Status::no_data;
  return set;
}

TEST(RecordCache, gives_back_what_was_put_until_its_time) {
  RecordCache cache(100);
  RecordSet v4{.status = RecordSet::Status::found, .good_until = start + 10s};
  v4.addresses = {ip("192.0.2.1"), ip("192.0.2.2")};
  RecordSet v6{.status = RecordSet::Status::found, .good_until = start + 20s};
  v6.addresses = {ip("2001:db8::1")};
  const RecordSet failed{.reason = "SERVFAIL from 127.0.0.1:53", .good_until = start + 5s};
  cache.put("a.test", RecordType::a, v4);
  cache.put("a.test", RecordType::aaaa, v6);
  cache.put("a.test", RecordType::mx, failed);
  EXPECT_EQ(cache.find("a.test", RecordType::a, start)->addresses, v4.addresses);
  EXPECT_EQ(cache.find("a.test", RecordType::aaaa, start)->addresses, v6.addresses);
  EXPECT_EQ(cache.find("a.test", RecordType::mx, start)->reason, failed.reason);
  EXPECT_FALSE(cache.find("b.test", RecordType::a, start));
  EXPECT_TRUE(cache.find("a.test", RecordType::a, start + 9s));
  EXPECT_FALSE(cache.find("a.test", RecordType::a, start + 10s));
  EXPECT_TRUE(cache.find("a.test", RecordType::aaaa, start + 10s));
  EXPECT_EQ(cache.entries(), 2u);
}

TEST(RecordCache, keeps_what_DNSSEC_says_aliases_and_TLSA_records) {
  RecordCache cache(100);
  RecordSet v4{.status = RecordSet::Status::found,
               .is_secure = true,
               .canonical = "b.test",
               .good_until = start + 10s};
  v4.addresses = {ip("192.0.2.1")};
  RecordSet tlsa{.status = RecordSet::Status::found, .is_secure = true, .good_until = start + 10s};
  tlsa.tlsa = {{2, 0, 1, std::string(300, 'x')}, {3, 1, 1, ""}};
  const RecordSet none{
      .status = RecordSet::Status::no_data, .is_secure = true, .good_until = start + 10s};
  cache.put("a.test", RecordType::a, v4);
  cache.put("a.test", RecordType::tlsa, tlsa);
  cache.put("a.test", RecordType::mx, none);
  const auto found = cache.find("a.test", RecordType::a, start);
  EXPECT_TRUE(found->is_secure);
  EXPECT_EQ(found->canonical, "b.test");
  EXPECT_EQ(found->addresses, v4.addresses);
  EXPECT_EQ(cache.find("a.test", RecordType::tlsa, start)->tlsa, tlsa.tlsa);
  EXPECT_TRUE(cache.find("a.test", RecordType::mx, start)->is_secure);
  EXPECT_FALSE(cache.find("a.test", RecordType::tlsa, start)->canonical.size());
}

TEST(RecordCache, when_full_lets_go_of_what_was_unused_for_longest) {
  RecordCache cache(3);
  for (const char* name : {"a", "b", "c"}) cache.put(name, RecordType::mx, sample(1, start + 1h));
  cache.find("a", RecordType::mx, start);
  cache.put("d", RecordType::mx, sample(1, start + 1h));
  EXPECT_TRUE(cache.find("a", RecordType::mx, start));
  EXPECT_FALSE(cache.find("b", RecordType::mx, start));
  EXPECT_TRUE(cache.find("c", RecordType::mx, start));
  EXPECT_TRUE(cache.find("d", RecordType::mx, start));
  EXPECT_EQ(cache.entries(), 3u);
}

TEST(RecordCache, holds_what_a_map_would_hold) {
  const uint64_t seed = 20261122;
  sim::Random random(seed);
  RecordCache cache(1'000'000);
  std::map<std::string, RecordSet> model;
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t i = random.below(3000);
    const std::string name = fmt::format("d{}.test", i);
    const io::Instant now = start + std::chrono::seconds(step);
    if (random.chance(0.4)) {
      const RecordSet set = sample(random.next(), now + random.between(io::Duration(1s), 10'000s));
      cache.put(name, RecordType::mx, set);
      model[name] = set;
    } else {
      const auto got = cache.find(name, RecordType::mx, now);
      const auto kept = model.find(name);
      const bool is_known = kept != model.end() && kept->second.good_until > now;
      ASSERT_EQ(got.has_value(), is_known) << "seed " << seed << " step " << step;
      if (!is_known) continue;
      EXPECT_EQ(got->mx, kept->second.mx);
      EXPECT_EQ(got->status, kept->second.status);
      EXPECT_EQ(got->good_until, kept->second.good_until);
    }
  }
}

}  // namespace
}  // namespace sluice::engine::dns
