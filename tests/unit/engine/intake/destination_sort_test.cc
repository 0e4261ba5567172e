#include "engine/intake/destination_sort.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "spool/campaign.h"
#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

class DestinationSortTest : public ScratchFolder {
 protected:
  static void add(DestinationSort& sort, const std::string& address,
                  std::string_view payload = "") {
    const std::string entry = "xx" + address + std::string(payload);
    ASSERT_TRUE(
        sort.add(entry, std::string_view(entry).substr(2, address.size()), address.rfind('@')));
  }

  /// Addresses and what follows them in their entries.
  static std::vector<std::string> sorted(DestinationSort& sort) {
    EXPECT_TRUE(sort.finish());
    std::vector<std::string> all;
    for (;;) {
      const auto next = sort.next();
      if (!next || !*next) return all;
      const auto& [domain, address, entry] = **next;
      EXPECT_EQ(address.substr(address.rfind('@') + 1), domain);
      EXPECT_EQ(entry.substr(0, 2 + address.size()), "xx" + std::string(address));
      all.emplace_back(entry.substr(2));
    }
  }
};

constexpr size_t plenty = 1024 * 1024;

TEST_F(DestinationSortTest, orders_by_domain_then_local_part_without_case) {
  DestinationSort sort(plenty, folder_);
  for (const char* address :
       {"b@z.example", "Zoe@a.example", "ann@z.example", "longer.than.eight.b@a.example",
        "Longer.than.eight.a@a.example", "a@a.example.org"}) {
    add(sort, address);
  }
  EXPECT_THAT(
      sorted(sort),
      testing::ElementsAre("Longer.than.eight.a@a.example", "longer.than.eight.b@a.example",
                           "Zoe@a.example", "a@a.example.org", "ann@z.example", "b@z.example"));
}

TEST_F(DestinationSortTest, keeps_the_first_of_duplicates_and_counts_the_others) {
  DestinationSort sort(plenty, folder_);
  add(sort, "Ann@a.example", "1");
  add(sort, "bob@a.example", "2");
  add(sort, "ann@a.example", "3");
  add(sort, "ANN@a.example", "4");
  EXPECT_THAT(sorted(sort), testing::ElementsAre("Ann@a.example1", "bob@a.example2"));
  EXPECT_EQ(sort.duplicates(), 2u);
  EXPECT_EQ(sort.suppressed(), 0u);
}

TEST_F(DestinationSortTest, drops_suppressed_addresses_and_domains_whenever_they_were_told) {
  DestinationSort sort(plenty, folder_);
  ASSERT_TRUE(sort.suppress("ann@a.example"));
  add(sort, "Ann@a.example");
  add(sort, "ann@b.example");
  add(sort, "x@c.example");
  add(sort, "y@c.example");
  add(sort, "x@sub.c.example");
  ASSERT_TRUE(sort.suppress("@c.example"));
  ASSERT_TRUE(sort.suppress("nobody@d.example"));
  EXPECT_THAT(sorted(sort), testing::ElementsAre("ann@b.example", "x@sub.c.example"));
  EXPECT_EQ(sort.suppressed(), 3u);
  EXPECT_EQ(sort.duplicates(), 0u);
}

TEST_F(DestinationSortTest, of_nobody_is_nobody) {
  DestinationSort sort(plenty, folder_);
  EXPECT_TRUE(sorted(sort).empty());
  const auto again = sort.next();
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->has_value());
}

TEST_F(DestinationSortTest, list_that_fits_is_not_spilled_and_a_longer_one_is) {
  DestinationSort small(plenty, "/nonexistent"), large(64 * 1024, folder_);
  for (int i = 0; i < 2000; ++i) {
    add(small, fmt::format("u{}@d.example", i));
    add(large, fmt::format("u{}@d.example", i));
  }
  EXPECT_EQ(small.runs(), 0u);
  EXPECT_GT(large.runs(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));  // while it is in use, too: the file has no name
  EXPECT_EQ(sorted(small), sorted(large));
}

TEST_F(DestinationSortTest, folder_that_takes_no_file_is_an_error) {
  DestinationSort sort(4096, "/nonexistent");
  std::expected<void, int> done;
  for (int i = 0; done && i < 1000; ++i) {
    const std::string entry = fmt::format("u{}@d.example", i);
    done = sort.add(entry, entry, entry.find('@'));
  }
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error(), ENOENT);
}

TEST_F(DestinationSortTest, largest_entries_go_through_the_smallest_memory) {
  DestinationSort sort(spool::entry_bytes_max + 1024, folder_);
  for (const char* address : {"c@d.example", "b@d.example", "a@d.example"}) {
    add(sort, address, std::string(spool::entry_bytes_max - 100, address[0]));
  }
  EXPECT_EQ(sort.runs(), 2u);
  const auto all = sorted(sort);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0], "a@d.example" + std::string(spool::entry_bytes_max - 100, 'a'));
}

TEST_F(DestinationSortTest, does_what_a_simple_model_does) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 40; ++round) {
    DestinationSort sort(2048 + random() % 30000, folder_);
    std::map<std::pair<std::string, std::string>, std::string>
        kept;  // domain, folded local part: entry
    std::set<std::string> suppressed;
    uint64_t rows = 0;
    const size_t domains = 1 + random() % 20, locals = 1 + random() % 200;
    std::vector<std::pair<std::string, std::string>> added;
    for (size_t i = 0; i < 1500; ++i) {
      const std::string domain = fmt::format("d{}.example", random() % domains);
      std::string local =
          fmt::format("{}{}", random() % 2 == 0 ? "u" : "a-long-one.", random() % locals);
      const std::string folded = local;
      if (random() % 2 == 0) local[0] = static_cast<char>(local[0] - 32);
      if (random() % 20 == 0) {
        const std::string who = (random() % 20 == 0 ? "" : local) + "@" + domain;
        ASSERT_TRUE(sort.suppress(who));
        suppressed.insert(who[0] == '@' ? who : folded + "@" + domain);
        continue;
      }
      const std::string payload = fmt::format("/{}", i) + std::string(random() % 300, '.');
      add(sort, local + "@" + domain, payload);
      ++rows;
      kept.try_emplace({domain, folded}, local + "@" + domain + payload);
      added.emplace_back(domain, folded);
    }
    const auto is_suppressed = [&](const auto& key) {
      return suppressed.contains(key.second + "@" + key.first) ||
             suppressed.contains("@" + key.first);
    };
    std::vector<std::string> expected;
    for (const auto& [key, entry] : kept) {
      if (!is_suppressed(key)) expected.push_back(entry);
    }
    ASSERT_EQ(sorted(sort), expected) << "round " << round << ", runs " << sort.runs();
    EXPECT_EQ(sort.suppressed(),
              static_cast<uint64_t>(std::ranges::count_if(added, is_suppressed)));
    EXPECT_EQ(expected.size() + sort.duplicates() + sort.suppressed(), rows);
  }
}

}  // namespace
}  // namespace sluice::engine::intake
