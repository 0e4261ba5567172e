#include <algorithm>
#include <cerrno>

#include "io/crc32c.h"
#include "spool/campaign_file.h"
#include "spool/campaign_name.h"
#include "spool/little_endian.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

using CampaignTest = SpoolTest;

const std::map<std::string, std::vector<std::string>> two_groups = {{"a.example", {"ann", "abe"}},
                                                                    {"b.example", {"bob"}}};

TEST_F(CampaignTest, is_read_back_as_it_was_written) {
  const auto committed = hand_off(*ring_, "may/2023 \xc3\xa9", two_groups, "Hello");
  ASSERT_TRUE(committed) << committed.error().message;
  EXPECT_FALSE(committed->was_known);
  const std::string path = spool() + "/campaigns/may%2F2023%20%C3%A9";
  EXPECT_EQ(committed->bytes, std::filesystem::file_size(path));

  const auto opened = open(*ring_, path);
  ASSERT_TRUE(opened) << opened.error().message;
  const Campaign& campaign = *opened->campaign;
  EXPECT_EQ(campaign.info().id, "may/2023 \xc3\xa9");
  EXPECT_NE(campaign.info().uid, 0u);
  EXPECT_EQ(campaign.info().accepted_at, at_ms(1'700'000'000'000));
  EXPECT_EQ(campaign.recipients(), 3u);
  EXPECT_EQ(text(campaign.message()), "Hello");
  EXPECT_EQ(campaign.bytes(), committed->bytes);
  ASSERT_EQ(campaign.groups().size(), 2u);
  EXPECT_EQ(campaign.groups()[1].name, "b.example");
  EXPECT_EQ(campaign.groups()[1].first, 2u);
  EXPECT_EQ(campaign.groups()[1].count, 1u);
  EXPECT_EQ(entries(*ring_, campaign),
            (std::map<uint32_t, std::string>{{0, "ann"}, {1, "abe"}, {2, "bob"}}));
  close(*ring_, campaign.file());
}

TEST_F(CampaignTest, spans_many_blocks_and_each_recipient_is_in_the_block_that_is_said) {
  std::vector<std::string> list;
  for (int i = 0; i < 20000; ++i) list.push_back("someone" + std::to_string(i) + "@example.net");
  list[500] = std::string(entry_bytes_max, 'x');
  list[501] = "";
  list[19999] = std::string(block_bytes_target, 'y');
  ASSERT_TRUE(hand_off(*ring_, "many", {{"example.net", list}}, std::string(3 << 20, 'm')));
  const auto opened = open(*ring_, spool() + "/campaigns/many");
  ASSERT_TRUE(opened) << opened.error().message;
  const Campaign& campaign = *opened->campaign;
  EXPECT_GT(campaign.blocks(), 20u);
  const auto all = entries(*ring_, campaign);
  ASSERT_EQ(all.size(), list.size());
  for (uint32_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(all.at(i), list[i]);
    const BlockRef ref = campaign.block(campaign.block_of(i));
    EXPECT_TRUE(ref.first <= i && i < ref.first + ref.count);
    EXPECT_LE(ref.bytes, block_record_bytes_max);
  }
  EXPECT_EQ(campaign.message().size(), 3u << 20);
  uint64_t own = campaign.message().size();
  for (const std::string& entry : list) own += entry.size();
  EXPECT_LE(campaign.bytes(), own + 8 * list.size());
  close(*ring_, campaign.file());
}

TEST_F(CampaignTest, may_be_empty) {
  ASSERT_TRUE(hand_off(*ring_, "none", {}));
  const auto opened = open(*ring_, spool() + "/campaigns/none");
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->campaign->recipients(), 0u);
  EXPECT_EQ(opened->campaign->blocks(), 0u);
  close(*ring_, opened->campaign->file());
}

TEST_F(CampaignTest, is_not_added_a_second_time) {
  ASSERT_TRUE(hand_off(*ring_, "once", two_groups));
  const auto before = read_file(spool() + "/campaigns/once");
  auto writer = CampaignWriter::create(*ring_, spool(), {.id = "once"});
  ASSERT_TRUE(writer);
  EXPECT_TRUE((*writer)->is_known());
  ASSERT_TRUE((*writer)->begin_group("c.example"));
  ASSERT_TRUE((*writer)->add(octets("eve")));
  const auto committed = (*writer)->commit(octets("other"));
  ASSERT_TRUE(committed);
  EXPECT_TRUE(committed->was_known);
  EXPECT_EQ(read_file(spool() + "/campaigns/once"), before);
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"once"});
}

TEST_F(CampaignTest, is_not_called_known_before_its_name_is_durable) {
  ASSERT_TRUE(hand_off(*ring_, "once", two_groups));
  FaultyProactor proactor(*ring_);
  proactor.fault = [&](const io::Op& op) {
    return op.kind == io::OpKind::sync_directory &&
                   static_cast<const io::SyncDirectory&>(op).path == spool() + "/campaigns"
               ? -EIO
               : 0;
  };
  const auto again = hand_off(proactor, "once", two_groups);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().error, EIO);
}

TEST_F(CampaignTest, of_two_writers_at_once_only_the_first_hands_over) {
  auto first = CampaignWriter::create(*ring_, spool(), {.id = "race"});
  auto second = CampaignWriter::create(*ring_, spool(), {.id = "race"});
  ASSERT_TRUE(first && second);
  for (auto* writer : {&first, &second}) {
    EXPECT_FALSE((**writer)->is_known());
    ASSERT_TRUE((**writer)->begin_group("a.example"));
    ASSERT_TRUE((**writer)->add(octets(writer == &first ? "ann" : "abe")));
  }
  ASSERT_TRUE((*first)->commit({}));
  const auto late = (*second)->commit({});
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->was_known);
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"race"});
  const auto opened = open(*ring_, spool() + "/campaigns/race");
  ASSERT_TRUE(opened);
  EXPECT_EQ(entries(*ring_, *opened->campaign).at(0), "ann");
  close(*ring_, opened->campaign->file());
}

TEST_F(CampaignTest, that_is_not_committed_leaves_nothing) {
  {
    auto writer = CampaignWriter::create(*ring_, spool(), {.id = "dropped"});
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->begin_group("a.example"));
    ASSERT_TRUE((*writer)->add(octets("ann")));
    EXPECT_EQ(names("campaigns").size(), 1u);
    EXPECT_TRUE(names("campaigns")[0].starts_with(handoff_prefix));
  }
  EXPECT_TRUE(names("campaigns").empty());
}

TEST_F(CampaignTest, refuses_an_entry_that_no_block_can_hold) {
  auto writer = CampaignWriter::create(*ring_, spool(), {.id = "large"});
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->begin_group("a.example"));
  const auto added = (*writer)->add(octets(std::string(entry_bytes_max + 1, 'x')));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message,
            "recipient 0: its fields take 262145 octets; at most 262144 are possible");
  EXPECT_FALSE((*writer)->commit({}));
}

TEST_F(CampaignTest, refuses_an_id_that_names_nothing) {
  for (const std::string& id :
       {std::string(), std::string("a\nb"), std::string("\xff"), std::string(81, 'x')}) {
    const auto writer = CampaignWriter::create(*ring_, spool(), {.id = id});
    ASSERT_FALSE(writer) << id;
    EXPECT_EQ(writer.error().code, ErrorCode::not_allowed);
  }
  EXPECT_FALSE(std::filesystem::exists(spool()));
}

TEST_F(CampaignTest, opens_quickly_with_a_million_groups_in_one_read_of_the_tail) {
  auto writer = CampaignWriter::create(*ring_, spool(), {.id = "wide"});
  ASSERT_TRUE(writer);
  for (int i = 0; i < 1'000'000; ++i) {
    ASSERT_TRUE((*writer)->begin_group(std::to_string(i) + ".example"));
    ASSERT_TRUE((*writer)->add(octets("postmaster")));
  }
  ASSERT_TRUE((*writer)->commit({}));
  const auto opened = open(*ring_, spool() + "/campaigns/wide");
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_EQ(opened->campaign->groups().size(), 1'000'000u);
  EXPECT_EQ(opened->campaign->groups()[777'777].name, "777777.example");
  EXPECT_EQ(opened->campaign->groups()[777'777].first, 777'777u);
  close(*ring_, opened->campaign->file());
}

TEST_F(CampaignTest, of_a_newer_version_is_refused_and_left_untouched) {
  ASSERT_TRUE(hand_off(*ring_, "future", two_groups));
  const std::string path = spool() + "/campaigns/future";
  auto file = read_file(path);
  std::vector<std::byte> header(file.begin(), file.begin() + file_header_bytes);
  store<uint16_t>(file, 8, format_version + 1);
  store(file, 20, io::crc32c(0, Bytes(file).first(20)));
  write_file(path, file);
  const auto opened = open(*ring_, path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::newer_version);
  EXPECT_EQ(read_file(path), file);
}

TEST_F(CampaignTest, under_another_name_is_refused) {
  ASSERT_TRUE(hand_off(*ring_, "one", two_groups));
  std::filesystem::copy_file(spool() + "/campaigns/one", spool() + "/campaigns/two");
  const auto opened = open(*ring_, spool() + "/campaigns/two");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::damaged);
}

// Every bit of a small campaign: refused as a whole, or some recipients unreadable, or (padding)
// nothing; never an entry that was not written.
TEST_F(CampaignTest, with_any_one_bit_flipped_shows_nothing_wrong) {
  ASSERT_TRUE(hand_off(
      *ring_, "c",
      {{"a.example", {"ann", "abe", std::string(block_bytes_target, 'x')}}, {"b.example", {"bob"}}},
      "Hello"));
  const std::string path = spool() + "/campaigns/c";
  const auto whole = read_file(path);
  const auto opened = open(*ring_, path);
  ASSERT_TRUE(opened);
  const auto truth = entries(*ring_, *opened->campaign);
  ASSERT_EQ(opened->campaign->blocks(), 3u);
  close(*ring_, opened->campaign->file());

  for (size_t octet = 0; octet < whole.size(); ++octet) {
    if (octet > 600 && octet < whole.size() - 300 && octet % 997 != 0)
      continue;  // the middle of the long entry
    for (unsigned bit = 0; bit < 8; ++bit) {
      const FlippedBit flipped(path, octet, bit);
      const auto result = open(*ring_, path);
      if (!result) {
        EXPECT_EQ(result.error().code, ErrorCode::damaged) << octet << '.' << bit;
        continue;
      }
      const Campaign& campaign = *result->campaign;
      EXPECT_EQ(text(campaign.message()), "Hello");
      EXPECT_EQ(campaign.groups()[0].name, "a.example");
      const auto seen = entries(*ring_, campaign);
      EXPECT_GE(seen.size() + 2, truth.size()) << octet << '.' << bit;  // at most one block is lost
      for (const auto& [number, entry] : seen) EXPECT_EQ(entry, truth.at(number));
      close(*ring_, campaign.file());
    }
  }
}

TEST_F(CampaignTest, cut_at_any_length_is_refused) {
  ASSERT_TRUE(hand_off(*ring_, "c", two_groups, "Hello"));
  const std::string path = spool() + "/campaigns/c";
  const auto whole = read_file(path);
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write_file(path, Bytes(whole).first(bytes));
    const auto result = open(*ring_, path);
    ASSERT_FALSE(result) << bytes;
    EXPECT_EQ(result.error().code, ErrorCode::damaged);
  }
}

TEST(CampaignName, goes_to_a_file_name_and_back) {
  for (const std::string& id : std::vector<std::string>{"a", "News 2023-05", "..", ".hidden", "a/b",
                                                        "%41", "\xe2\x82\xac", "a.b_c-D9"}) {
    const std::string name = campaign_file_name(id);
    EXPECT_EQ(name.find_first_of("/ \n"), name.npos);
    EXPECT_NE(name.front(), '.');
    EXPECT_EQ(campaign_id(name), id);
  }
  EXPECT_EQ(campaign_file_name(".a/b"), "%2Ea%2Fb");
}

TEST(CampaignName, is_refused_when_no_id_makes_it) {
  for (const char* name : {"", ".a", "a b", "%", "%4", "%4g", "%41", "%2f", "%0A", "%FF", "a%"})
    EXPECT_FALSE(campaign_id(name)) << name;
}

TEST(CampaignName, takes_only_printable_utf8) {
  EXPECT_TRUE(is_campaign_id(std::string(80, 'x')));
  EXPECT_TRUE(is_campaign_id("\xf0\x9f\x93\xa8 \xe6\x97\xa5\xe6\x9c\xac"));
  for (const std::string& id :
       std::vector<std::string>{"", "\x1f", "a\x7f", "\xc2\x85", "\xc0\x80", "\xed\xa0\x80",
                                "\xf4\x90\x80\x80", "\xe2\x82"})
    EXPECT_FALSE(is_campaign_id(id));
  EXPECT_FALSE(is_campaign_id(std::string("a\0b", 3)));
  EXPECT_FALSE(is_campaign_id(std::string(81, 'x')));
}

}  // namespace
}  // namespace sluice::spool
