#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "spool/mail_recovery.h"
#include "spool/mail_writer.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/letter.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {

/// Remembers what a writer of mail told.
struct MailWitness : MailWriter::Listener {
  void mail_durable(uint64_t first_ticket, uint32_t count,
                    const std::shared_ptr<const MailSegment>& segment,
                    uint32_t first_block) override {
    EXPECT_EQ(first_ticket, durable + 1) << "in the order of their tickets";
    durable = first_ticket + count - 1;
    ++commits;
    EXPECT_LE(first_block + count, segment->blocks());
    if (segments.empty() || segments.back() != segment) segments.push_back(segment);
    for (uint32_t i = 0; i < count; ++i) places[first_ticket + i] = {segment, first_block + i};
  }
  void mail_sealed(const std::shared_ptr<const MailSegment>& segment) override {
    EXPECT_TRUE(segment->is_sealed());
    sealed.push_back(segment);
  }
  void mail_stalled(const Error& error) override {
    ++stalls;
    refusal = error;
    durable = refused_to;  // set by the test: what it appended
  }
  void mail_resumed() override { ++resumes; }

  uint64_t durable = 0, refused_to = 0;
  int commits = 0, stalls = 0, resumes = 0;
  Error refusal{};
  std::vector<std::shared_ptr<const MailSegment>> segments, sealed;
  std::map<uint64_t, std::pair<std::shared_ptr<const MailSegment>, uint32_t>> places;  // by ticket
};

class MailTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    std::filesystem::create_directories(spool() + "/mail");
    proactor_ = std::make_unique<FaultyProactor>(*ring_);
    loop_ = std::make_unique<io::EventLoop>(*proactor_);
  }
  void TearDown() override {
    for (const auto& segment : witness_.segments) close(*ring_, segment->file());
    witness_.segments.clear();
    loop_.reset();
    proactor_.reset();
    SpoolTest::TearDown();
  }

  std::unique_ptr<MailWriter> writer(uint64_t sequence = 1) {
    return std::make_unique<MailWriter>(*loop_, spool(), 0, sequence, witness_);
  }
  bool turn_until(const std::function<bool()>& done) {
    const io::Instant end = ring_->now() + std::chrono::seconds(45);
    while (!done() && ring_->now() < end) loop_->turn(loop_->now() + std::chrono::milliseconds(5));
    return done();
  }
  /// Appends letters [first, first + count) and waits until they are durable.
  bool keep(MailWriter& to, uint32_t first, uint32_t count, size_t content_bytes = 100) {
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const auto given = append(to, letter(first + i, content_bytes));
      if (!given) return false;
      ticket = *given;
    }
    witness_.refused_to = ticket;
    to.commit();
    return turn_until([&] { return witness_.durable >= ticket || witness_.stalls > 0; }) &&
           witness_.stalls == 0;
  }
  void skip_a_second() {
    proactor_->skipped += std::chrono::seconds(1) + std::chrono::milliseconds(2);
  }

  /// Its files are closed; what it found stays.
  RecoveredMail recover(bool read_only = false) {
    auto recovered = recover_mail(*ring_, spool(), read_only);
    EXPECT_TRUE(recovered) << recovered.error().message;
    return recovered ? std::move(*recovered) : RecoveredMail{};
  }
  /// All messages of a segment; those that cannot be read are empty.
  std::vector<Letter> letters(const MailSegment& segment) {
    std::vector<Letter> found;
    for (uint32_t i = 0; i < segment.blocks(); ++i)
      found.push_back(read_letter(*ring_, segment, i).value_or(Letter{}));
    return found;
  }
  void close_files(const RecoveredMail& recovered) {
    for (const auto& segment : recovered.segments) close(*ring_, segment->file());
  }

  MailWitness witness_;
  std::unique_ptr<FaultyProactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
};

/// Does each recipient go to the group of its letter, and are blocks and groups one behind the
/// other?
inline void expect_consistent(const MailSegment& segment) {
  uint32_t next = 0;
  for (uint32_t i = 0; i < segment.blocks(); ++i) {
    const BlockRef ref = segment.block(i);
    EXPECT_EQ(ref.first, next);
    for (uint32_t number = ref.first; number < ref.first + ref.count; ++number)
      EXPECT_EQ(segment.block_of(number), i);
    next += ref.count;
  }
  EXPECT_EQ(next, segment.recipients());
  next = 0;
  for (const Group& group : segment.groups()) {
    EXPECT_EQ(group.first, next);
    EXPECT_FALSE(group.name.empty());
    next += group.count;
  }
  EXPECT_EQ(next, segment.recipients());
}

}  // namespace sluice::spool
