#include "spool/mail_recovery.h"

#include "io/crc32c.h"
#include "spool/little_endian.h"
#include "spool/mail_index.h"
#include "tests/unit/spool/mail_test.h"

namespace sluice::spool {
namespace {

using Commits = std::vector<std::vector<Letter>>;

const Commits three_commits = {
    {letter(0), letter(1)}, {letter(2), letter(3)}, {letter(4), letter(5)}};

class MailRecoveryTest : public MailTest {
 protected:
  void TearDown() override {
    close_files(found_);
    MailTest::TearDown();
  }
  const MailName name_{7, 2, 0xc0ffee, Salt::from(0x1122334455667788)};
  std::string path() const { return spool() + "/mail/" + name_.text(); }

  /// Where each message begins, in the order of all; and the file's octets.
  std::vector<size_t> begins_;
  std::vector<std::byte> octets_;
  void write_segment(const Commits& commits) {
    octets_.resize(file_header_bytes), begins_.clear();
    encode_file_header(octets_, {FileKind::mail, name_.salt});
    uint32_t recipients = 0;
    for (const auto& commit : commits) {
      std::vector<std::byte> records;
      for (const Letter& one : commit)
        one.as_new_mail([&](const NewMail& mail) {
          encode_mail(records, mail, at_ms(1'700'000'000'000 + static_cast<int64_t>(recipients)));
        });
      seal_mail(records, name_.salt, octets_.size(), recipients,
                [&](uint64_t offset, size_t, const Mail& mail) {
                  begins_.push_back(offset);
                  recipients = mail.first + mail.count;
                });
      octets_.insert(octets_.end(), records.begin(), records.end());
    }
    write_file(path(), octets_);
  }
  void write_segment_with_index() {
    write_segment(three_commits);
    const MailSegment& all = found();
    const auto index = encode_mail_index(all, name_.salt);
    octets_.insert(octets_.end(), index.begin(), index.end());
    write_file(path(), octets_);
  }

  /// Recovers anew, and returns the only segment there.
  const MailSegment& found(bool read_only = false) {
    close_files(found_);
    found_ = recover(read_only);
    EXPECT_EQ(found_.segments.size(), 1u);
    return *found_.segments.at(0);
  }
  /// What can be read of the letters 0 to 5, by number.
  std::map<uint32_t, Letter> readable(const MailSegment& segment) {
    std::map<uint32_t, Letter> out;
    for (const Letter& one : letters(segment))
      if (!one.recipients.empty())
        out[static_cast<uint32_t>(std::stoul(one.envelope.substr(4)))] = one;
    return out;
  }
  void expect_all_but(const MailSegment& segment, const std::set<uint32_t>& lost) {
    const auto all = readable(segment);
    for (uint32_t i = 0; i < 6; ++i) {
      EXPECT_EQ(all.contains(i), !lost.contains(i)) << i;
      EXPECT_TRUE(!all.contains(i) || all.at(i) == letter(i));
    }
    expect_consistent(segment);
  }

  RecoveredMail found_;
};

TEST_F(MailRecoveryTest, of_nothing_finds_nothing) {
  EXPECT_TRUE(recover().segments.empty());
  std::filesystem::remove(spool() + "/mail");
  EXPECT_EQ(recover().next_sequence, 1u);
}

TEST_F(MailRecoveryTest, reads_a_segment_that_a_kill_left_open) {
  write_segment(three_commits);
  const MailSegment& segment = found();
  expect_all_but(segment, {});
  EXPECT_TRUE(segment.is_sealed());
  EXPECT_EQ(segment.info().uid, name_.uid);
  EXPECT_EQ(segment.info().accepted_at, at_ms(1'700'000'000'000));
  EXPECT_EQ(segment.accepted_at(2), at_ms(1'700'000'000'003));
  EXPECT_EQ(segment.bytes(), octets_.size());
  EXPECT_EQ(found_.next_sequence, 8u);
  std::vector<std::pair<std::string, uint32_t>> groups;
  for (const Group& group : segment.groups()) groups.emplace_back(group.name, group.count);
  EXPECT_EQ(groups, (std::vector<std::pair<std::string, uint32_t>>{{"a.example", 2},
                                                                   {"b.example", 1},
                                                                   {"a.example", 4},
                                                                   {"b.example", 1},
                                                                   {"a.example", 2}}));
}

TEST_F(MailRecoveryTest,
       takes_what_is_whole_at_every_cut_of_the_last_commit_and_calls_none_damage) {
  write_segment(three_commits);
  const auto whole = octets_;
  for (size_t bytes = begins_[4]; bytes < whole.size(); ++bytes) {
    write_file(path(), Bytes(whole).first(bytes));
    const size_t fourth_end = begins_[5];
    const bool read_only = bytes % 16 != 0;  // the disk is slow
    expect_all_but(found(read_only),
                   bytes < fourth_end ? std::set<uint32_t>{4, 5} : std::set<uint32_t>{5});
    EXPECT_TRUE(found_.damages.empty()) << bytes;
    EXPECT_EQ(found_.torn_bytes, bytes - (bytes < fourth_end ? begins_[4] : fourth_end));
    if (HasFailure()) return;
    if (read_only) continue;
    EXPECT_EQ(read_file(path()).size(), bytes - found_.torn_bytes);
    found();
    EXPECT_EQ(found_.torn_bytes, 0u) << "cut once";
  }
}

TEST_F(MailRecoveryTest, unlinks_a_segment_of_which_no_message_was_acknowledged) {
  write_segment({{letter(0), letter(1)}});
  const auto whole = octets_;
  for (size_t bytes = 0; bytes < begins_[1]; bytes += 3) {
    write_file(path(), Bytes(whole).first(bytes));
    const RecoveredMail recovered = recover();
    EXPECT_TRUE(recovered.segments.empty() && recovered.damages.empty()) << bytes;
    EXPECT_TRUE(names("mail").empty()) << bytes;
  }
}

TEST_F(MailRecoveryTest, loses_with_a_wrong_bit_the_message_it_is_in_and_no_other) {
  write_segment(three_commits);
  for (size_t octet = file_header_bytes; octet < octets_.size(); ++octet) {
    const auto after = std::ranges::upper_bound(begins_, octet);
    const auto hit = static_cast<uint32_t>(after - begins_.begin() - 1);
    const bool is_last_commit = hit >= 4;
    const size_t end = hit == 5 ? octets_.size() : begins_[hit + 1];
    std::vector<std::byte> changed = octets_;
    changed[octet] ^= std::byte{4};
    write_file(path(), changed);
    const MailSegment& segment = found(true);
    // Padding is not looked at.
    const bool is_padding = readable(segment).contains(hit);
    EXPECT_TRUE(!is_padding || octet + 8 > end);
    expect_all_but(segment, is_padding ? std::set<uint32_t>{} : std::set<uint32_t>{hit});
    EXPECT_EQ(found_.damages.size(), !is_padding && !is_last_commit ? 1u : 0u) << octet;
    EXPECT_EQ(found_.torn_bytes > 0, !is_padding && is_last_commit) << octet;
    EXPECT_TRUE(found_.damages.empty() || found_.damages[0].offset == begins_[hit]);
    EXPECT_TRUE(hit == 5 || segment.recipients() == 10u)
        << "the others keep their numbers, and the lost ones are counted";
    if (HasFailure()) {
      ADD_FAILURE() << "octet " << octet << " of message " << hit;
      return;
    }
  }
}

TEST_F(MailRecoveryTest, gives_recipients_that_are_missing_to_the_group_behind_them) {
  write_segment({{letter(0)}, {letter(3)}, {letter(1)}});
  octets_[begins_[0] + 20] ^= std::byte{1};
  write_file(path(), octets_);
  const MailSegment& segment = found();
  EXPECT_EQ(segment.blocks(), 3u);
  EXPECT_EQ(segment.block(0).count, 1u);
  EXPECT_FALSE(read_letter(*ring_, segment, 0));
  EXPECT_EQ(segment.group(0).name, "a.example");
  EXPECT_EQ(segment.group(0).first, 0u);
  expect_consistent(segment);
}

TEST_F(MailRecoveryTest, a_damaged_file_header_loses_nothing) {
  write_segment(three_commits);
  for (size_t octet = 0; octet < file_header_bytes; ++octet) {
    const FlippedBit flipped(path(), octet, 3);
    expect_all_but(found(), {});
    EXPECT_EQ(found_.damages.size(), 1u);
  }
  write_segment({{letter(0), letter(1), letter(2), letter(3), letter(4), letter(5)}});
  const FlippedBit flipped(path(), 1, 3);
  expect_all_but(found(), {});
  EXPECT_TRUE(found_.damages.empty()) << "it was part of the commit that may be torn";
}

TEST_F(MailRecoveryTest, believes_an_index_that_holds_together_and_reads_the_messages_else) {
  write_segment_with_index();
  const size_t index_begin = octets_.size() - encode_mail_index(found(), name_.salt).size();
  expect_all_but(found(), {});
  for (size_t octet = index_begin; octet < octets_.size(); ++octet) {
    std::vector<std::byte> changed = octets_;
    changed[octet] ^= std::byte{16};
    write_file(path(), changed);
    expect_all_but(found(true), {});
    EXPECT_TRUE(found_.damages.empty());
    if (HasFailure()) return;
  }
  for (size_t bytes = index_begin; bytes < octets_.size(); bytes += 7) {
    write_file(path(), Bytes(octets_).first(bytes));
    expect_all_but(found(), {});
    EXPECT_EQ(read_file(path()).size(), index_begin);
    if (HasFailure()) return;
  }
}

TEST_F(MailRecoveryTest, a_message_damaged_before_an_index_is_unreadable_when_its_turn_comes) {
  write_segment_with_index();
  const FlippedBit flipped(path(), begins_[4] + 30, 1);
  expect_all_but(found(), {4});
  EXPECT_TRUE(found_.damages.empty());
  EXPECT_EQ(found_.segments[0]->recipients(), 10u);
}

TEST_F(MailRecoveryTest, damage_in_the_last_commit_before_a_broken_index_is_not_torn) {
  write_segment_with_index();
  octets_[begins_[4] + 30] ^= std::byte{1};
  octets_[octets_.size() - 20] ^= std::byte{1};
  write_file(path(), octets_);
  expect_all_but(found(), {4});
  EXPECT_EQ(found_.damages.size(), 1u) << "an index is begun when all before it was acknowledged";
}

TEST_F(MailRecoveryTest, changes_nothing_when_it_is_to_read_only) {
  write_segment(three_commits);
  octets_.resize(octets_.size() - 3);
  write_file(path(), octets_);
  expect_all_but(found(true), {5});
  EXPECT_EQ(read_file(path()), octets_);
}

TEST_F(MailRecoveryTest, refuses_a_newer_version_before_it_cuts_anything) {
  write_segment(three_commits);
  octets_.resize(octets_.size() - 3);
  write_file(path(), octets_);
  std::vector<std::byte> newer(file_header_bytes);
  const MailName other{8, 0, 1, Salt::from(2)};
  encode_file_header(newer, {FileKind::mail, other.salt});
  store<uint16_t>(newer, 8, format_version + 1);
  store(std::span(newer), 20, io::crc32c(0, Bytes(newer).first(20)));
  write_file(spool() + "/mail/" + other.text(), newer);
  const auto recovered = recover_mail(*ring_, spool());
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ErrorCode::newer_version);
  EXPECT_EQ(read_file(path()), octets_);
}

TEST_F(MailRecoveryTest, leaves_a_file_that_is_not_named_like_a_segment_alone) {
  write_file(spool() + "/mail/notes.txt", octets("mine"));
  EXPECT_EQ(recover().damages.size(), 1u);
  EXPECT_EQ(names("mail"), std::vector<std::string>{"notes.txt"});
}

TEST_F(MailRecoveryTest, writes_the_last_commit_again_before_it_is_counted_on) {
  write_segment(three_commits);
  found_ = RecoveredMail{};
  auto recovered = recover_mail(*proactor_, spool());
  ASSERT_TRUE(recovered);
  EXPECT_EQ(proactor_->count(io::OpKind::write), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::datasync), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::sync_directory), 1u);
  EXPECT_EQ(read_file(path()), octets_);
  close_files(*recovered);
}

TEST_F(MailRecoveryTest, passes_over_what_the_disk_cannot_read_and_throws_nothing_away) {
  write_segment({{letter(0, 9000), letter(1, 9000)}, {letter(2), letter(3)}});
  proactor_->fault = [&](const io::Op& op) {
    if (op.kind != io::OpKind::read) return 0;
    const auto& read = static_cast<const io::Read&>(op);
    const uint64_t bad = begins_[0] + 5000;
    return read.offset <= bad && bad < read.offset + read.bytes.size() ? -EIO : 0;
  };
  auto recovered = recover_mail(*proactor_, spool());
  ASSERT_TRUE(recovered) << recovered.error().message;
  proactor_->fault = [](const io::Op&) { return 0; };
  ASSERT_EQ(recovered->segments.size(), 1u);
  EXPECT_EQ(recovered->segments[0]->recipients(), 1u + 2 + 2 + 1);
  EXPECT_FALSE(recovered->damages.empty());
  EXPECT_EQ(read_file(path()), octets_);
  close_files(*recovered);
}

}  // namespace
}  // namespace sluice::spool
