#include <algorithm>
#include <cerrno>
#include <tuple>

#include "io/crc32c.h"
#include "spool/journal_name.h"
#include "spool/little_endian.h"
#include "spool/outcome_record.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

Outcome fate(uint64_t campaign, uint32_t recipient) {
  return {
      .campaign = campaign, .recipient = recipient, .attempt = 1, .kind = OutcomeKind::delivered};
}

class RecoveryTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    std::filesystem::create_directories(spool() + "/journal");
  }
  /// Writes a segment of these commits and returns its path.
  std::string segment(uint64_t sequence, std::vector<std::vector<Outcome>> commits) {
    const JournalName name{sequence, 0, Salt::from(0x1122334455667788 + sequence)};
    std::vector<std::byte> out;
    SegmentWriter writer(out, name.salt);
    writer.file_header(FileKind::journal);
    for (uint32_t i = 0; i < commits.size(); ++i) encode_commit(writer, i + 1, commits[i]);
    const std::string path = spool() + "/journal/" + name.text();
    write_file(path, out);
    return path;
  }
  Recovered recover(bool read_only = false) {
    auto recovered = recover_journal(*ring_, spool(), read_only);
    EXPECT_TRUE(recovered) << recovered.error().message;
    return recovered ? std::move(*recovered) : Recovered{};
  }
  static auto told(const Recovered& r) {
    std::map<uint64_t, std::tuple<std::vector<uint64_t>, size_t, uint64_t>> campaigns;
    for (const auto& [uid, p] : r.campaigns)
      campaigns[uid] = {p.fates, p.deferred.size(), p.delivered};
    std::vector<std::tuple<std::string, uint64_t, uint64_t>> damages;
    for (const Damage& d : r.damages) damages.emplace_back(d.path, d.offset, d.bytes);
    return std::tuple(campaigns, damages, r.next_sequence, r.records);
  }
};

const std::vector<std::vector<Outcome>> three_commits = {
    {fate(1, 1)}, {fate(1, 2), fate(2, 2)}, {fate(1, 3)}};

TEST_F(RecoveryTest, of_nothing_finds_nothing) {
  EXPECT_TRUE(recover().campaigns.empty());
  std::filesystem::remove(spool() + "/journal");
  EXPECT_EQ(recover().next_sequence, 1u);
}

TEST_F(RecoveryTest, merges_all_segments) {
  segment(3, {{fate(1, 1)}});
  segment(9, {{fate(1, 2)}, {fate(2, 2)}});
  const Recovered recovered = recover();
  EXPECT_EQ(recovered.next_sequence, 10u);
  EXPECT_EQ(recovered.campaigns.at(1).delivered, 2u);
  ASSERT_EQ(recovered.segments.size(), 2u);
  EXPECT_EQ(recovered.segments[0].campaigns, std::vector<uint64_t>{1});
  EXPECT_EQ(recovered.segments[1].campaigns.size(), 2u);
}

TEST_F(RecoveryTest, cuts_a_torn_tail_once) {
  const std::string path = segment(1, three_commits);
  const auto whole = read_file(path);
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write_file(path, Bytes(whole).first(bytes));
    const Recovered first = recover();
    EXPECT_TRUE(first.damages.empty()) << bytes;
    const auto cut = read_file(path);
    EXPECT_LE(cut.size(), bytes);
    const Recovered second = recover();
    EXPECT_EQ(told(first), told(second)) << bytes;
    EXPECT_EQ(second.torn_bytes, 0u) << bytes;
    EXPECT_EQ(read_file(path), cut);
  }
}

TEST_F(RecoveryTest, takes_a_header_for_torn_though_what_is_missing_of_it_is_zeros) {
  std::string path;
  std::vector<std::byte> octets;
  for (uint64_t sequence = 1; octets.empty() || octets[file_header_bytes - 1] != std::byte{};
       ++sequence) {
    if (!path.empty()) std::filesystem::remove(path);
    path = segment(sequence, {});
    octets = read_file(path);
  }
  write_file(path, Bytes(octets).first(file_header_bytes - 1));
  EXPECT_EQ(recover().torn_bytes, file_header_bytes - 1);
  EXPECT_TRUE(read_file(path).empty());
}

TEST_F(RecoveryTest, twice_comes_to_the_same_with_any_bit_flipped) {
  const std::string path = segment(1, three_commits);
  const auto whole = read_file(path);
  for (size_t octet = 0; octet < whole.size(); ++octet) {
    auto damaged = whole;
    damaged[octet] ^= std::byte{4};
    write_file(path, damaged);
    const Recovered first = recover(), second = recover();
    EXPECT_EQ(told(first), told(second)) << octet;
    uint64_t fates = 0;
    for (const auto& [uid, p] : first.campaigns) fates += p.delivered;
    EXPECT_GE(fates, 3u) << octet;
    if (octet < file_header_bytes) {
      EXPECT_EQ(fates, 4u);
      EXPECT_EQ(first.damages.size(), 1u);
    }
    if (!first.damages.empty()) {
      EXPECT_EQ(read_file(path), damaged) << octet;
    }
  }
}

TEST_F(RecoveryTest, that_only_looks_changes_nothing) {
  const std::string path = segment(1, three_commits);
  auto torn = read_file(path);
  torn.resize(torn.size() - 10);
  write_file(path, torn);
  EXPECT_GT(recover(true).torn_bytes, 0u);
  EXPECT_EQ(read_file(path), torn);
}

TEST_F(RecoveryTest, refuses_a_newer_version_before_it_touches_anything) {
  const std::string torn_path = segment(1, three_commits);
  auto torn = read_file(torn_path);
  torn.resize(torn.size() - 10);
  write_file(torn_path, torn);
  const std::string path = segment(2, three_commits);
  auto newer = read_file(path);
  store<uint16_t>(newer, 8, format_version + 1);
  store(newer, 20, io::crc32c(0, Bytes(newer).first(20)));
  write_file(path, newer);
  const auto recovered = recover_journal(*ring_, spool());
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ErrorCode::newer_version);
  EXPECT_EQ(read_file(torn_path), torn);
  EXPECT_EQ(read_file(path), newer);
}

TEST_F(RecoveryTest, passes_over_what_the_disk_cannot_read_and_cuts_nothing) {
  std::vector<std::vector<Outcome>> commits;
  for (uint32_t i = 0; i < 1000; ++i) commits.push_back({fate(1, i)});
  const std::string path = segment(1, commits);
  const auto before = read_file(path);
  FaultyProactor proactor(*ring_);
  proactor.fault = [](const io::Op& op) {
    if (op.kind != io::OpKind::read) return 0;
    const auto& read = static_cast<const io::Read&>(op);
    constexpr uint64_t bad = 10'000;
    return read.offset <= bad && bad < read.offset + read.bytes.size() ? -EIO : 0;
  };
  const auto recovered = recover_journal(proactor, spool());
  ASSERT_TRUE(recovered) << recovered.error().message;
  EXPECT_GT(recovered->campaigns.at(1).delivered, 800u);
  EXPECT_LT(recovered->campaigns.at(1).delivered, 1000u);
  EXPECT_FALSE(recovered->damages.empty());
  EXPECT_EQ(read_file(path), before);
}

TEST_F(RecoveryTest, leaves_strange_files_alone_and_says_so) {
  write_file(spool() + "/journal/notes.txt", octets("hello"));
  const Recovered recovered = recover();
  ASSERT_EQ(recovered.damages.size(), 1u);
  EXPECT_EQ(recovered.damages[0].path, spool() + "/journal/notes.txt");
  EXPECT_EQ(names("journal").size(), 1u);
}

TEST_F(RecoveryTest, reads_a_segment_far_larger_than_its_window) {
  std::vector<Outcome> all;
  for (uint32_t i = 0; i < 1'000'000; ++i) all.push_back(fate(1 + i % 2, i));
  segment(1, {all, {fate(9, 9)}});
  const Recovered recovered = recover();
  EXPECT_TRUE(recovered.damages.empty());
  EXPECT_EQ(recovered.campaigns.at(1).delivered + recovered.campaigns.at(2).delivered, 1'000'000u);
  EXPECT_EQ(recovered.campaigns.at(9).delivered, 1u);
}

}  // namespace
}  // namespace sluice::spool
