#include "tools/sink/tally.h"

#include <gtest/gtest.h>

namespace sluice::tools::sink {
namespace {

TEST(TextSet, counts_each_text_once_through_all_growth) {
  TextSet set;
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 50'000; ++i) set.add("user" + std::to_string(i), "id");
  EXPECT_EQ(set.size(), 50'000u);
}

TEST(TextSet, tells_texts_apart_by_their_border_and_length) {
  TextSet set;
  set.add("ab", "c");
  set.add("a", "bc");
  set.add("abc");
  set.add("abc", std::string_view("\0", 1));
  set.add("");
  set.add(std::string(8, '\0'));
  EXPECT_EQ(set.size(), 6u);
}

TEST(Tally, a_duplicate_is_a_recipient_and_a_message_id_seen_before) {
  using Recipients = std::vector<std::string>;
  Tally tally, other;
  tally.take(Recipients{"a", "b"}, "<1>", 10);
  tally.take(Recipients{"a"}, "<2>", 10);
  EXPECT_EQ(tally.duplicates(), 0u);
  tally.take(Recipients{"b", "c"}, "<1>", 10);
  EXPECT_EQ(tally.duplicates(), 1u);
  tally.take(Recipients{"a"}, "", 10);
  tally.take(Recipients{"a"}, "", 10);
  EXPECT_EQ(tally.duplicates(), 1u) << "without a Message-ID nothing is a duplicate";
  other.take(Recipients{"a"}, "<2>", 5);
  tally.add(other);
  EXPECT_EQ(tally.duplicates(), 2u) << "across threads";
  EXPECT_EQ(tally.messages, 6u);
  EXPECT_EQ(tally.recipients, 8u);
  EXPECT_EQ(tally.distinct_recipients.size(), 3u);
  EXPECT_EQ(tally.bytes, 55u);
}

}  // namespace
}  // namespace sluice::tools::sink
