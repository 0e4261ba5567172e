#include "spool/mail_segment.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace sluice::spool {
namespace {

const MailName name{1, 2, 0xc0ffee, Salt::from(0x1122334455667788)};

/// Commits of one message, of as many recipients as its number says, in two groups.
void add(MailSegment& segment, uint32_t number) {
  const uint32_t recipients = 1 + number % 5;
  segment.add_message({.offset = 24 + 48 * uint64_t{number},
                       .bytes = 48,
                       .recipients = recipients,
                       .accepted_at = io::WallTime(std::chrono::milliseconds(number))});
  segment.add_recipients("a" + std::to_string(number % 700), "s.example", 1);
  if (recipients > 1) segment.add_recipients("b.example", "s.example", recipients - 1);
  segment.publish(24 + 48 * (uint64_t{number} + 1));
}

TEST(MailName, is_read_as_it_was_written_and_nothing_else_is) {
  EXPECT_EQ(name.text(), "0000000001-002-0000000000c0ffee-1122334455667788-0");
  EXPECT_EQ(name.id(), "mail-0000000000c0ffee");
  const auto parsed = MailName::parse(name.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->uid, name.uid);
  EXPECT_EQ(parsed->salt, name.salt);
  EXPECT_EQ(parsed->sequence, 1u);
  EXPECT_EQ(parsed->shard, 2u);
  for (const std::string_view wrong :
       {"", "notes", "0000000001-002-1122334455667788-0", "1-2-c0ffee-1122334455667788-0",
        "0000000001-002-0000000000C0FFEE-1122334455667788-0",
        "0000000001-002-0000000000c0ffee-1122334455667788-0x",
        "0000000001-002-0000000000c0ffee_1122334455667788-0",
        "0000000001-002-0000000000c0ffee-1122334455667788",
        "0000000001-002-0000000000c0ffee-1122334455667788-10"})
    EXPECT_FALSE(MailName::parse(wrong)) << wrong;
}

TEST(MailSegment, is_a_campaign_whose_id_need_not_stay_known) {
  const MailSegment segment(name, "/spool/mail/x", {});
  EXPECT_EQ(segment.info().id, "mail-0000000000c0ffee");
  EXPECT_EQ(segment.info().uid, name.uid);
  EXPECT_FALSE(segment.info().is_repeatable);
  EXPECT_EQ(segment.recipients(), 0u);
}

TEST(MailSegment, shows_nothing_before_it_is_published) {
  MailSegment segment(name, "", {});
  segment.add_message({.offset = 24, .bytes = 48, .recipients = 1});
  segment.add_recipients("a.example", "s.example", 1);
  EXPECT_EQ(segment.blocks() + segment.recipients() + segment.group_count() + segment.bytes(), 0u);
  segment.publish(72);
  EXPECT_EQ(segment.blocks(), 1u);
  EXPECT_EQ(segment.group(0).name, "a.example");
}

TEST(MailSegment, knows_the_group_of_each_recipient_by_destination_and_sender) {
  MailSegment segment(name, "", {});
  segment.add_message({.offset = 24, .bytes = 48, .recipients = 5});
  segment.add_recipients("a.example", "s.example", 1);
  segment.add_recipients("a.example", "s.example", 1);
  segment.add_recipients("a.example", "", 1);
  segment.add_recipients("s.example", "", 2);
  segment.publish(72);
  ASSERT_EQ(segment.group_count(), 3u);
  EXPECT_EQ(segment.group(0).count, 2u);
  EXPECT_EQ(segment.group(1).sender, "");
  EXPECT_EQ(segment.group(2).name, "s.example");
  for (const auto& [recipient, group] : {std::pair(0u, 0u), {1u, 0u}, {2u, 1u}, {3u, 2u}, {4u, 2u}})
    EXPECT_EQ(segment.group_of(recipient), group) << recipient;
}

TEST(MailSegment, does_not_change_a_run_that_was_published) {
  MailSegment segment(name, "", {});
  for (uint64_t i = 0; i < 2; ++i) {
    segment.add_message({.offset = 24 + 48 * i, .bytes = 48, .recipients = 2});
    segment.add_recipients("a.example", "s.example", 1),
        segment.add_recipients("a.example", "s.example", 1);
    segment.publish(72 + 48 * i);
  }
  ASSERT_EQ(segment.group_count(), 2u);
  EXPECT_EQ(segment.group(0).count, 2u);
  EXPECT_EQ(segment.group(1).first, 2u);
}

TEST(MailSegment, may_be_read_by_other_threads_while_it_grows) {
  constexpr uint32_t messages = 20'000;
  MailSegment segment(name, "", {});
  add(segment, 0);
  std::jthread reader([&segment] {
    while (!segment.is_sealed()) {
      const uint32_t recipients = segment.recipients();
      const uint32_t block = segment.block_of(recipients - 1);
      const BlockRef ref = segment.block(block);
      EXPECT_EQ(ref.first + ref.count, recipients);
      EXPECT_EQ(ref.count, 1 + block % 5);
      EXPECT_EQ(segment.accepted_at(block), io::WallTime(std::chrono::milliseconds(block)));
      const Group group = segment.group(segment.group_count() - 1);
      EXPECT_GE(group.first + group.count, recipients);
      EXPECT_FALSE(group.name.empty());
      EXPECT_GE(segment.bytes(), ref.offset + ref.bytes);
      if (testing::Test::HasFailure()) return;
    }
  });
  for (uint32_t i = 1; i < messages; ++i) add(segment, i);
  segment.seal();
  reader.join();
  EXPECT_EQ(segment.blocks(), messages);
}

}  // namespace
}  // namespace sluice::spool
