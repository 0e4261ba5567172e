#include <algorithm>
#include <random>
#include <tuple>

#include "spool/journal_name.h"
#include "spool/little_endian.h"
#include "spool/outcome_record.h"
#include "spool/segment_reader.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

constexpr Salt salt{0x55667788, 0x11223344};

TEST(Leb128, goes_both_ways_at_every_width) {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const uint64_t value = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
    std::vector<std::byte> out;
    put_leb128(out, value);
    EXPECT_EQ(out.size(), std::max(1u, (bits + 6) / 7));
    Bytes in = out;
    uint64_t read = 0;
    ASSERT_TRUE(get_leb128(in, read));
    EXPECT_EQ(read, value);
    EXPECT_TRUE(in.empty());
  }
}

TEST(Leb128, refuses_what_ends_early_or_is_too_large) {
  uint64_t value;
  for (const std::vector<unsigned char>& octets :
       {std::vector<unsigned char>{},
        {0x80},
        {0xff, 0xff},
        {255, 255, 255, 255, 255, 255, 255, 255, 255, 2}}) {
    Bytes in = std::as_bytes(std::span(octets));
    EXPECT_FALSE(get_leb128(in, value));
  }
}

TEST(Record, goes_both_ways_at_every_small_length) {
  for (size_t length = 0; length < 40; ++length) {
    std::vector<std::byte> out;
    SegmentWriter writer(out, salt);
    const std::string payload(length, 'p');
    writer.record(RecordType::block, 77, octets(payload));
    ASSERT_EQ(out.size(), record_bytes(length));
    EXPECT_EQ(out.size() % record_alignment, 0u);
    const auto header = decode_record_header(out, salt);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->length, length);
    EXPECT_EQ(header->type, RecordType::block);
    EXPECT_EQ(header->number, 77u);
    EXPECT_TRUE(is_payload_sound(*header, Bytes(out).subspan(record_header_bytes, length), salt));
  }
}

TEST(Record, of_a_file_with_another_salt_does_not_stand) {
  std::vector<std::byte> out;
  SegmentWriter(out, salt).record(RecordType::block, 1, octets("payload"));
  EXPECT_FALSE(decode_record_header(out, {salt.header + 1, salt.payload}));
  const auto header = decode_record_header(out, {salt.header, salt.payload + 1});
  ASSERT_TRUE(header);
  EXPECT_FALSE(is_payload_sound(*header, Bytes(out).subspan(record_header_bytes, header->length),
                                {salt.header, salt.payload + 1}));
}

TEST(Record, is_never_made_of_zeros) {
  const std::vector<std::byte> zeros(record_header_bytes);
  EXPECT_FALSE(decode_record_header(zeros, {}));
  EXPECT_FALSE(decode_record_header(zeros, salt));
}

TEST(FileHeader, tells_damage_from_a_newer_version) {
  std::vector<std::byte> out(file_header_bytes);
  encode_file_header(out, {FileKind::journal, salt});
  ASSERT_TRUE(decode_file_header(out));
  EXPECT_EQ(decode_file_header(out)->kind, FileKind::journal);
  EXPECT_EQ(decode_file_header(out)->salt, salt);
  for (size_t i = 0; i < out.size(); ++i) {
    auto damaged = out;
    damaged[i] ^= std::byte{0x10};
    ASSERT_FALSE(decode_file_header(damaged));
    EXPECT_EQ(decode_file_header(damaged).error(), FileHeaderFault::damaged);
  }
}

TEST(JournalName, goes_both_ways) {
  const JournalName name{12, 3, salt};
  EXPECT_EQ(name.text(), "0000000012-003-1122334455667788");
  const auto parsed = JournalName::parse(name.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->sequence, 12u);
  EXPECT_EQ(parsed->shard, 3u);
  EXPECT_EQ(parsed->salt, salt);
  for (const char* text : {"", "12-3-1122334455667788", "0000000012-003-1122334455667788 ",
                           "0000000012-003-11223344556677880", "-0000000012-003-1", "README"})
    EXPECT_FALSE(JournalName::parse(text)) << text;
}

std::vector<Outcome> sorted(std::vector<Outcome> outcomes) {
  std::ranges::sort(outcomes, {}, [](const Outcome& o) {
    return std::tuple(o.campaign, o.recipient, o.attempt, o.kind, o.next_attempt);
  });
  return outcomes;
}
bool same(const Outcome& a, const Outcome& b) {
  return std::tuple(a.campaign, a.recipient, a.attempt, a.kind, a.next_attempt) ==
         std::tuple(b.campaign, b.recipient, b.attempt, b.kind, b.next_attempt);
}

/// A segment in memory, commit by commit, and what is true of it.
struct Written {
  std::vector<std::byte> octets;
  std::vector<std::vector<Outcome>> commits;
  std::vector<size_t> ends;  // offset behind each commit

  Written() { SegmentWriter(octets, salt).file_header(FileKind::journal); }
  void commit(std::vector<Outcome> outcomes) {
    commits.push_back(outcomes);
    SegmentWriter writer(octets, salt);
    encode_commit(writer, static_cast<uint32_t>(commits.size()), outcomes);
    ends.push_back(octets.size());
  }
};

struct Seen {
  std::vector<Outcome> outcomes;
  std::vector<SegmentReader::Lost> lost;
  uint64_t sound_end;
};

Seen read(Bytes segment, size_t window_bytes = SIZE_MAX) {
  SegmentReader reader(salt, outcome_payload_bytes_max);
  Seen seen;
  const auto visit = [&](const RecordHeader&, Bytes payload) {
    EXPECT_TRUE(visit_outcomes(payload, [&](const Outcome& o) { seen.outcomes.push_back(o); }));
  };
  segment = segment.subspan(std::min(segment.size(), file_header_bytes));
  for (bool is_last = false; !is_last;) {
    const Bytes window = segment.first(std::min(segment.size(), window_bytes));
    is_last = window.size() == segment.size();
    segment = segment.subspan(reader.read(window, is_last, visit));
  }
  seen.lost = reader.lost();
  seen.sound_end = reader.sound_end();
  return seen;
}

Outcome random_outcome(std::mt19937_64& random) {
  Outcome o{.campaign = 1 + random() % 3,
            .recipient = static_cast<uint32_t>(random() >> (random() % 64)),
            .attempt = static_cast<uint16_t>(1 + random() % 300),
            .kind = static_cast<OutcomeKind>(random() % 5)};
  if (o.kind == OutcomeKind::deferred)
    o.next_attempt = io::WallTime(std::chrono::milliseconds(random() % 4'000'000'000'000));
  return o;
}

TEST(Commit, gives_back_random_outcomes_whatever_the_window) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Written written;
    std::vector<Outcome> all;
    for (int i = 0; i < 20; ++i) {
      std::vector<Outcome> outcomes(1 + random() % (i % 5 == 0 ? 20000 : 50));
      for (Outcome& o : outcomes) o = random_outcome(random);
      all.insert(all.end(), outcomes.begin(), outcomes.end());
      written.commit(outcomes);
    }
    const std::vector<Outcome> wanted = sorted(all);
    for (const size_t window :
         {size_t{SIZE_MAX}, record_bytes(outcome_payload_bytes_max), size_t{100'000}}) {
      const Seen seen = read(written.octets, window);
      EXPECT_TRUE(seen.lost.empty());
      EXPECT_EQ(seen.sound_end, written.octets.size());
      EXPECT_TRUE(std::ranges::equal(sorted(seen.outcomes), wanted, same));
    }
  }
}

TEST(Commit, takes_few_octets_a_fate_when_there_are_many) {
  std::mt19937_64 random(7);
  for (const auto& [fates, limit] : {std::pair(10, 8), std::pair(1000, 5)}) {
    std::vector<Outcome> outcomes;
    for (int i = 0; i < fates; ++i)
      outcomes.push_back({.campaign = 1,
                          .recipient = static_cast<uint32_t>(random() % 1'000'000),
                          .attempt = 1,
                          .kind = OutcomeKind::delivered});
    Written written;
    written.commit(outcomes);
    EXPECT_LE(written.octets.size() - file_header_bytes, static_cast<size_t>(fates * limit));
  }
}

TEST(Commit, of_malformed_octets_is_refused) {
  const auto refused = [](std::vector<unsigned char> tail) {
    tail.insert(tail.begin(), 8, 1);
    return !visit_outcomes(std::as_bytes(std::span(tail)), [](const Outcome&) {});
  };
  EXPECT_FALSE(refused({}));
  EXPECT_FALSE(refused({1, 1}));
  EXPECT_TRUE(refused({1}));           // no attempts
  EXPECT_TRUE(refused({7, 1}));        // waited without a time
  EXPECT_TRUE(refused({7, 1, 5, 1}));  // nor since when
  EXPECT_TRUE(refused({7, 1, 5, 1, 6}));
  EXPECT_FALSE(refused({7, 1, 5, 1, 5}));
  EXPECT_TRUE(refused({0, 1, 1, 1}));  // deferred without transfers
  EXPECT_FALSE(refused({0, 1, 1, 1, 1}));
  EXPECT_TRUE(refused({0, 1}));                                   // deferred without a time
  EXPECT_TRUE(refused({1, 0x80, 0x80, 4}));                       // 65536 attempts
  EXPECT_TRUE(refused({0xf9, 0xff, 0xff, 0xff, 0x7f, 1, 9, 1}));  // beyond recipient 2^32 - 1
  EXPECT_FALSE(visit_outcomes(octets("1234567"), [](const Outcome&) {}));
}

Outcome fate(uint64_t campaign, uint32_t recipient) {
  return {
      .campaign = campaign, .recipient = recipient, .attempt = 1, .kind = OutcomeKind::delivered};
}

/// Five small commits; the third and the last of two records.
Written small_segment() {
  Written written;
  written.commit({fate(1, 10)});
  written.commit({fate(1, 20),
                  fate(1, 21),
                  {.campaign = 1,
                   .recipient = 22,
                   .attempt = 2,
                   .next_attempt = io::WallTime(std::chrono::hours(1))}});
  written.commit({fate(1, 30), fate(2, 30)});
  written.commit({fate(3, 40)});
  written.commit({fate(1, 50), fate(2, 50)});
  return written;
}

TEST(SegmentReader, at_every_length_keeps_all_whole_commits_and_finds_a_torn_tail) {
  const Written written = small_segment();
  for (size_t bytes = file_header_bytes; bytes <= written.octets.size(); ++bytes) {
    const Seen seen = read(Bytes(written.octets).first(bytes));
    std::vector<Outcome> whole;
    for (size_t i = 0; i < written.commits.size(); ++i)
      if (written.ends[i] <= bytes)
        whole.insert(whole.end(), written.commits[i].begin(), written.commits[i].end());
    EXPECT_GE(seen.outcomes.size(), whole.size()) << bytes;
    for (const auto& lost : seen.lost) EXPECT_TRUE(lost.is_torn) << bytes;
    EXPECT_LE(seen.sound_end, bytes);
  }
}

// A record that is lost is one whole record; all others are found; and only what the last commit
// held is called torn.
TEST(SegmentReader, with_any_bit_flipped_loses_at_most_that_record) {
  const Written written = small_segment();
  const auto truth = read(written.octets).outcomes;
  for (size_t octet = file_header_bytes; octet < written.octets.size(); ++octet) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto damaged = written.octets;
      damaged[octet] ^= std::byte(1u << bit);
      const Seen seen = read(damaged);
      for (const Outcome& o : seen.outcomes)
        EXPECT_TRUE(std::ranges::any_of(truth, [&](const Outcome& t) { return same(o, t); }));
      const size_t missing = truth.size() - seen.outcomes.size();
      EXPECT_LE(missing, octet >= written.ends[0] && octet < written.ends[1] ? 3u : 1u);
      if (missing == 0) continue;  // padding
      ASSERT_EQ(seen.lost.size(), 1u);
      EXPECT_EQ(seen.lost[0].is_torn, octet >= written.ends[3]) << octet;
      EXPECT_TRUE(seen.lost[0].offset <= octet && octet < seen.lost[0].offset + seen.lost[0].bytes);
    }
  }
}

TEST(SegmentReader, calls_a_hole_in_the_last_commit_torn_and_keeps_what_follows) {
  Written written = small_segment();
  std::fill(written.octets.begin() + static_cast<ptrdiff_t>(written.ends[3]),
            written.octets.begin() + static_cast<ptrdiff_t>(written.ends[3]) + 24, std::byte{});
  const Seen seen = read(written.octets);
  ASSERT_EQ(seen.lost.size(), 1u);
  EXPECT_TRUE(seen.lost[0].is_torn);
  EXPECT_EQ(seen.outcomes.back().campaign, 2u);
  EXPECT_EQ(seen.outcomes.back().recipient, 50u);
  EXPECT_EQ(seen.sound_end, written.octets.size());
}

TEST(SegmentReader, calls_a_hole_that_reaches_back_before_the_last_commit_damage) {
  Written written = small_segment();
  std::fill(written.octets.begin() + static_cast<ptrdiff_t>(written.ends[2]),
            written.octets.begin() + static_cast<ptrdiff_t>(written.ends[3]) + 24, std::byte{});
  const Seen seen = read(written.octets);
  ASSERT_EQ(seen.lost.size(), 1u);
  EXPECT_FALSE(seen.lost[0].is_torn);
}

// A record's own octets, stored as the payload of another whose header is destroyed, must not come
// alive.
TEST(SegmentReader, does_not_take_foreign_octets_for_records) {
  std::vector<std::byte> foreign;
  SegmentWriter forger(foreign, {salt.header ^ 1, salt.payload});
  std::vector<Outcome> forged{fate(666, 1)};
  encode_commit(forger, 2, forged);

  Written written;
  written.commit({fate(1, 10)});
  const size_t at = written.octets.size();
  SegmentWriter(written.octets, salt).record(RecordType::commit_full, 2, foreign);
  std::vector<Outcome> last{fate(1, 30)};
  SegmentWriter writer(written.octets, salt);
  encode_commit(writer, 3, last);
  written.octets[at] ^= std::byte{1};

  const Seen seen = read(written.octets);
  EXPECT_TRUE(
      std::ranges::none_of(seen.outcomes, [](const Outcome& o) { return o.campaign == 666; }));
  EXPECT_EQ(seen.outcomes.size(), 2u);
  ASSERT_EQ(seen.lost.size(), 1u);
  EXPECT_FALSE(seen.lost[0].is_torn);
}

TEST(SegmentReader, takes_an_impossible_length_for_damage) {
  Written written;
  written.commit({fate(1, 10)});
  SegmentWriter(written.octets, salt)
      .record(RecordType::commit_full, 2, std::vector<std::byte>(outcome_payload_bytes_max + 1));
  SegmentWriter writer(written.octets, salt);
  std::vector<Outcome> last{fate(1, 30)};
  encode_commit(writer, 3, last);
  const Seen seen = read(written.octets, 100'000);
  EXPECT_EQ(seen.outcomes.size(), 2u);
  EXPECT_EQ(seen.lost.size(), 1u);
}

}  // namespace
}  // namespace sluice::spool
