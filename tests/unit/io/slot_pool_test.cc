#include "io/slot_pool.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <unordered_map>

namespace sluice::io {
namespace {

struct Counted {
  explicit Counted(int v) : value(v) { ++alive; }
  ~Counted() { --alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int value;
  static inline int alive = 0;
};

TEST(SlotPool, is_full_at_its_maximum_and_not_before) {
  SlotPool<Counted> pool(70);  // not a multiple of a slab
  for (int i = 0; i < 70; ++i) ASSERT_NE(pool.create(i), nullptr);
  EXPECT_EQ(pool.create(70), nullptr);
  EXPECT_EQ(pool.size(), 70u);
}

TEST(SlotPool, a_handle_does_not_find_the_slots_next_tenant) {
  SlotPool<Counted> pool(1);
  Counted* first = pool.create(1);
  const SlotHandle handle = pool.handle(first);
  EXPECT_EQ(pool.find(handle), first);
  pool.destroy(first);
  EXPECT_EQ(pool.find(handle), nullptr);
  Counted* second = pool.create(2);
  EXPECT_EQ(second, first);
  EXPECT_EQ(pool.find(handle), nullptr);
  EXPECT_EQ(pool.find(pool.handle(second))->value, 2);
}

TEST(SlotPool, a_handle_of_nothing_finds_nothing) {
  SlotPool<Counted> pool(3);
  EXPECT_EQ(pool.find({}), nullptr);
  pool.create(1);
  for (uint32_t index : {1u, 3u, 63u, 64u, UINT32_MAX})
    for (uint32_t generation : {0u, 1u, UINT32_MAX})
      EXPECT_EQ(pool.find({index, generation}), nullptr) << index << ' ' << generation;
}

TEST(SlotPool, destroys_what_is_left_and_each_object_once) {
  {
    SlotPool<Counted> pool(200);
    for (int i = 0; i < 130; ++i) pool.create(i);
    pool.for_each([&](Counted& counted) {
      if (counted.value % 2) pool.destroy(&counted);
    });
    EXPECT_EQ(pool.size(), 65u);
    EXPECT_EQ(Counted::alive, 65);
  }
  EXPECT_EQ(Counted::alive, 0);
}

TEST(SlotPool, a_constructor_may_create_another) {
  struct Nested {
    Nested(SlotPool<Nested>& pool, int depth)
        : inner(depth ? pool.create(pool, depth - 1) : nullptr) {}
    Nested* inner;
  };
  SlotPool<Nested> pool(10);
  Nested* outer = pool.create(pool, 5);
  std::set<Nested*> all;
  for (Nested* nested = outer; nested; nested = nested->inner) all.insert(nested);
  EXPECT_EQ(all.size(), 6u);
}

TEST(SlotPool, keeps_alignment_and_addresses) {
  struct alignas(128) Wide {
    char text[100];
  };
  SlotPool<Wide> pool(1000);
  Wide* first = pool.create();
  const SlotHandle handle = pool.handle(first);
  for (int i = 1; i < 1000; ++i)
    ASSERT_EQ(reinterpret_cast<uintptr_t>(pool.create()) % alignof(Wide), 0u);
  EXPECT_EQ(pool.find(handle), first);
}

TEST(SlotPool, agrees_with_a_map_over_random_scripts) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  SlotPool<Counted> pool(300);
  std::unordered_map<int, SlotHandle> alive, dead;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2) {
      Counted* made = pool.create(step);
      ASSERT_EQ(made == nullptr, alive.size() == 300);
      if (made) alive[step] = pool.handle(made);
    } else if (!alive.empty()) {
      const auto victim = std::next(alive.begin(), static_cast<int>(random() % alive.size()));
      ASSERT_EQ(pool.find(victim->second)->value, victim->first);
      pool.destroy(pool.find(victim->second));
      dead.insert(*victim);
      alive.erase(victim);
    }
    ASSERT_EQ(pool.size(), alive.size());
  }
  for (const auto& [value, handle] : alive) EXPECT_EQ(pool.find(handle)->value, value);
  for (const auto& [value, handle] : dead) EXPECT_EQ(pool.find(handle), nullptr);
}

TEST(SlotPoolDeathTest, destroying_twice_stops_the_process) {
  SlotPool<Counted> pool(4);
  Counted* counted = pool.create(1);
  pool.destroy(counted);
  EXPECT_DEATH(pool.destroy(counted), "broken invariant");
}

}  // namespace
}  // namespace sluice::io
