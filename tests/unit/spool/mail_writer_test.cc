#include "spool/mail_writer.h"

#include <cerrno>

#include "tests/unit/spool/mail_test.h"

namespace sluice::spool {
namespace {

using std::chrono::hours;

class MailWriterTest : public MailTest {};

TEST_F(MailWriterTest, creates_nothing_before_the_first_commit) {
  auto w = writer();
  w->commit();
  append(*w, letter(0));
  EXPECT_TRUE(w->has_pending());
  EXPECT_TRUE(names("mail").empty());
}

TEST_F(MailWriterTest, tells_where_each_message_is_when_it_is_durable) {
  auto w = writer();
  ASSERT_TRUE(keep(*w, 0, 10));
  ASSERT_TRUE(keep(*w, 10, 5));
  ASSERT_EQ(witness_.segments.size(), 1u);
  EXPECT_EQ(witness_.commits, 2);
  for (uint64_t ticket = 1; ticket <= 15; ++ticket) {
    const auto& [segment, block] = witness_.places.at(ticket);
    EXPECT_EQ(read_letter(*ring_, *segment, block), letter(static_cast<uint32_t>(ticket - 1)));
  }
  expect_consistent(*witness_.segments[0]);
  EXPECT_FALSE(witness_.segments[0]->is_sealed());
}

TEST_F(MailWriterTest, acknowledges_a_commit_after_one_durable_write) {
  auto w = writer();
  ASSERT_TRUE(keep(*w, 0, 1));
  EXPECT_EQ(proactor_->count(io::OpKind::sync_directory), 1u) << "of the first alone";
  proactor_->forget_counts();
  ASSERT_TRUE(keep(*w, 1, 64, 10'000));
  EXPECT_EQ(proactor_->count(io::OpKind::write), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::datasync), 0u);
  EXPECT_EQ(proactor_->count(io::OpKind::sync_directory), 0u);
  EXPECT_EQ(proactor_->count(io::OpKind::open), 0u);
}

TEST_F(MailWriterTest, takes_what_comes_during_a_commit_along_with_the_next) {
  auto w = writer();
  append(*w, letter(0));
  w->commit();
  append(*w, letter(1)), append(*w, letter(2));
  w->commit();
  ASSERT_TRUE(turn_until([&] { return witness_.durable == 1; }));
  EXPECT_TRUE(w->has_pending());
  w->commit();
  ASSERT_TRUE(turn_until([&] { return witness_.durable == 3; }));
  EXPECT_EQ(witness_.commits, 2);
}

TEST_F(MailWriterTest, keeps_times_of_acceptance_to_the_millisecond) {
  auto w = writer();
  const io::WallTime before = ring_->wall();
  ASSERT_TRUE(keep(*w, 0, 2));
  const MailSegment& segment = *witness_.segments[0];
  EXPECT_GE(segment.info().accepted_at, before);
  EXPECT_GE(segment.accepted_at(1), segment.info().accepted_at);
  EXPECT_LE(segment.accepted_at(1), ring_->wall());
}

TEST_F(MailWriterTest, groups_recipients_by_their_sender_too_also_when_they_are_read_anew) {
  auto w = writer();
  for (uint32_t n = 0; n < 6; ++n) {
    Letter mail = letter(3 * n);
    mail.sender = n / 2 == 1 ? "" : "s" + std::to_string(n / 2);
    ASSERT_TRUE(append(*w, mail));
    if (n % 2 == 0) w->commit();  // the next two go with the one after
  }
  w->commit();
  ASSERT_TRUE(turn_until([&] {
    w->commit();
    return witness_.durable == 6;
  }));
  const auto expect_groups = [](const MailSegment& segment) {
    for (uint32_t n = 0; n < 6; ++n) {
      const Group group = segment.group(segment.group_of(n));
      EXPECT_EQ(group.name, "a.example");
      EXPECT_EQ(group.sender, n / 2 == 1 ? "" : "s" + std::to_string(n / 2));
      EXPECT_LE(group.count, 2u);
    }
  };
  expect_groups(*witness_.places.at(1).first);
  w.reset();
  const RecoveredMail recovered = recover();
  ASSERT_EQ(recovered.segments.size(), 1u);
  expect_groups(*recovered.segments[0]);
  close_files(recovered);
}

TEST_F(MailWriterTest, says_not_now_when_its_buffer_is_full_and_goes_on_after_the_commit) {
  auto w = writer();
  uint32_t taken = 0;
  while (append(*w, letter(taken, 1'000'000))) ++taken;
  EXPECT_EQ(taken, 8u) << "8 MiB";
  w->commit();
  EXPECT_TRUE(append(*w, letter(taken))) << "the other buffer";
  ASSERT_TRUE(turn_until([&] { return witness_.durable == taken; }));
}

TEST_F(MailWriterTest, begins_a_segment_before_one_would_grow_beyond_64_MiB) {
  auto w = writer();
  for (uint32_t i = 0; i < 70; i += 7) ASSERT_TRUE(keep(*w, i, 7, 1'000'000));
  ASSERT_EQ(witness_.segments.size(), 2u);
  ASSERT_TRUE(turn_until([&] { return witness_.sealed.size() == 1; }));
  EXPECT_EQ(witness_.sealed[0], witness_.segments[0]);
  EXPECT_FALSE(witness_.segments[1]->is_sealed());
  EXPECT_NE(witness_.segments[0]->info().uid, witness_.segments[1]->info().uid);
  EXPECT_EQ(witness_.segments[0]->blocks() + witness_.segments[1]->blocks(), 70u);
  EXPECT_EQ(witness_.segments[1]->block(0).first, 0u);
  EXPECT_LE(std::filesystem::file_size(witness_.segments[0]->path()),
            mail_segment_bytes_max + 64 * 1024);
}

/// The real clock does not skip; a wall that is given does.
class SkippedWall final : public io::Proactor {
 public:
  explicit SkippedWall(io::Proactor& real) : real_(real) {}
  void submit(io::Op& op) override { real_.submit(op); }
  void cancel(io::Op& op) override { real_.cancel(op); }
  unsigned wait(io::Instant until, unsigned budget) override { return real_.wait(until, budget); }
  io::Instant now() const override { return real_.now(); }
  io::WallTime wall() const override { return real_.wall() + skipped; }
  uint64_t random() override { return real_.random(); }
  void wake(io::Proactor& from) override { real_.wake(from); }
  unsigned in_flight() const override { return real_.in_flight(); }
  io::Duration skipped{};

 private:
  io::Proactor& real_;
};

TEST_F(MailWriterTest, begins_a_segment_when_the_first_message_is_an_hour_old) {
  SkippedWall clock(*ring_);
  loop_ = std::make_unique<io::EventLoop>(clock);
  auto w = writer();
  ASSERT_TRUE(keep(*w, 0, 1));
  clock.skipped = hours(1) - std::chrono::minutes(1);
  ASSERT_TRUE(keep(*w, 1, 1));
  EXPECT_EQ(witness_.segments.size(), 1u);
  clock.skipped = hours(1);
  ASSERT_TRUE(keep(*w, 2, 1));
  EXPECT_EQ(witness_.segments.size(), 2u);
  w.reset();
}

TEST_F(MailWriterTest, ends_its_segment_with_an_index_when_it_stops) {
  auto w = writer();
  ASSERT_TRUE(keep(*w, 0, 20));
  w.reset();
  ASSERT_EQ(witness_.segments.size(), 1u);
  EXPECT_TRUE(witness_.segments[0]->is_sealed());
  proactor_->forget_counts();
  auto recovered = recover_mail(*proactor_, spool());
  ASSERT_TRUE(recovered);
  ASSERT_EQ(recovered->segments.size(), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::read), 3u) << "header, trailer, index; no message";
  EXPECT_EQ(proactor_->count(io::OpKind::write), 0u);
  const MailSegment& found = *recovered->segments[0];
  EXPECT_EQ(found.info().uid, witness_.segments[0]->info().uid);
  EXPECT_EQ(found.info().id, witness_.segments[0]->info().id);
  EXPECT_EQ(found.info().accepted_at, witness_.segments[0]->info().accepted_at);
  EXPECT_EQ(found.bytes(), witness_.segments[0]->bytes());
  EXPECT_EQ(found.accepted_at(19), witness_.segments[0]->accepted_at(19));
  expect_consistent(found);
  const auto all = letters(found);
  for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(all[i], letter(i));
  close_files(*recovered);
}

TEST_F(MailWriterTest, refuses_all_that_is_not_durable_when_the_disk_does_and_resumes_by_itself) {
  auto w = writer();
  ASSERT_TRUE(keep(*w, 0, 3));
  for (const bool is_written : {false, true}) {
    if (is_written) proactor_->sync_of_writes = FaultyProactor::Sync::fails;
    proactor_->fault = [=](const io::Op& op) {
      return op.kind == io::OpKind::write && !is_written ? -ENOSPC : 0;
    };
    witness_.stalls = witness_.resumes = 0;
    const uint64_t durable = witness_.durable;
    append(*w, letter(100));
    w->commit();
    append(*w, letter(101));
    witness_.refused_to = durable + 2;
    ASSERT_TRUE(turn_until([&] { return witness_.stalls == 1; }));
    EXPECT_TRUE(w->is_stalled());
    EXPECT_FALSE(w->has_pending());
    EXPECT_FALSE(append(*w, letter(102)));
    skip_a_second();
    for (int i = 0; i < 50; ++i) loop_->turn(loop_->now());
    EXPECT_EQ(witness_.stalls, 1) << "told once";
    EXPECT_EQ(witness_.resumes, 0);
    proactor_->fault = [](const io::Op&) { return 0; };
    proactor_->sync_of_writes = FaultyProactor::Sync::done;
    skip_a_second();
    ASSERT_TRUE(turn_until([&] { return witness_.resumes == 1; }));
    witness_.stalls = 0;
    ASSERT_TRUE(keep(*w, 3, 2));
  }
  EXPECT_EQ(witness_.segments.size(), 3u) << "one that failed is never written again";
  EXPECT_TRUE(witness_.segments[0]->is_sealed());
  w.reset();
  const RecoveredMail recovered = recover();
  ASSERT_EQ(recovered.segments.size(), 3u) << "those of the tries are gone";
  EXPECT_EQ(recovered.segments[0]->blocks(), 3u) << "and what was refused is not there";
  EXPECT_EQ(recovered.segments[1]->blocks(), 2u) << "though it was written, and not synced";
  EXPECT_EQ(recovered.torn_bytes, 0u);
  close_files(recovered);
}

TEST_F(MailWriterTest, leaves_the_last_of_a_full_disk_alone) {
  auto w = writer();
  proactor_->fault = [](const io::Op& op) { return op.kind == io::OpKind::allocate ? -ENOSPC : 0; };
  append(*w, letter(0));
  witness_.refused_to = 1;
  w->commit();
  ASSERT_TRUE(turn_until([&] { return witness_.stalls == 1; }));
  EXPECT_EQ(witness_.refusal.code, ErrorCode::no_space);
  EXPECT_EQ(proactor_->count(io::OpKind::write), 0u);
  w.reset();
  EXPECT_TRUE(names("mail").empty());
}

TEST_F(MailWriterTest, writes_where_a_file_system_cannot_reserve) {
  auto w = writer();
  proactor_->fault = [](const io::Op& op) {
    return op.kind == io::OpKind::allocate ? -EOPNOTSUPP : 0;
  };
  EXPECT_TRUE(keep(*w, 0, 3));
  EXPECT_TRUE(keep(*w, 3, 3));
  EXPECT_EQ(proactor_->count(io::OpKind::allocate), 1u) << "asked once a segment";
}

}  // namespace
}  // namespace sluice::spool
