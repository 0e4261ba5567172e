#include "spool/large_mail.h"

#include <cerrno>

#include "tests/unit/spool/mail_test.h"

namespace sluice::spool {
namespace {

struct LargeWitness : LargeMail::Listener {
  void large_mail_has_room() override { ++rooms; }
  void large_mail_durable(const std::shared_ptr<const MailSegment>& s) override { segment = s; }
  void large_mail_refused(const Error& error) override { refusal = error; }

  int rooms = 0;
  std::shared_ptr<const MailSegment> segment;
  std::optional<Error> refusal;
};

std::string octets(size_t count) {
  std::string text(count, '\0');
  uint32_t state = 1;
  for (char& c : text)
    c = static_cast<char>('a' + (state = state * 1664525 + 1013904223) / 171798692);
  return text;
}

class LargeMailTest : public MailTest {
 protected:
  void TearDown() override {
    if (large_.segment) close(*ring_, large_.segment->file());
    MailTest::TearDown();
  }
  std::unique_ptr<LargeMail> begin() {
    return std::make_unique<LargeMail>(*proactor_, spool(), 0, 7, large_);
  }
  /// As much at a time as there is room.
  void append_all(LargeMail& mail, const std::string& content, size_t step) {
    for (size_t at = 0; at < content.size(); at += step) {
      ASSERT_TRUE(turn_until([&] { return mail.has_room() || large_.refusal; }));
      if (large_.refusal) return;
      mail.append(std::string_view(content).substr(at, step));
    }
  }
  bool keep(const std::string& content, size_t step) {
    auto mail = begin();
    append_all(*mail, content, step);
    Letter l = letter(1);
    l.content.clear();
    l.as_new_mail([&](NewMail m) {
      m.content = {};
      mail->finish(m, loop_->wall());
    });
    return turn_until([&] { return large_.segment || large_.refusal; }) && large_.segment;
  }
  std::string content_of(const MailSegment& segment) {
    const BlockRef ref = segment.block(0);
    std::vector<std::byte> record(ref.bytes);
    read(segment, ref.offset, record);
    const auto mail = decode_mail(ref, record);
    EXPECT_TRUE(mail);
    const LargeContent content{segment.file(), Salt::from(ref.salt), mail ? mail->large_bytes : 0};
    std::string text;
    for (uint64_t at = 0; at < content.bytes; at += content_piece_bytes) {
      const LargeContent::Place place = content.place(at);
      record.resize(place.bytes);
      read(segment, place.offset, record);
      const auto piece = content.decode(at, record);
      if (!piece) return "damaged at " + std::to_string(at);
      text.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
    return text;
  }
  void read(const MailSegment& segment, uint64_t offset, std::vector<std::byte>& into) {
    io::Read read;
    read.file = segment.file();
    read.offset = offset;
    read.bytes = into;
    io::run(*ring_, read);
  }

  LargeWitness large_;
};

TEST_F(LargeMailTest, keeps_the_content_octet_for_octet_whatever_its_length) {
  for (const size_t bytes : {size_t{1}, content_piece_bytes - 1, content_piece_bytes,
                             content_piece_bytes + 1, 3 * content_piece_bytes + 5}) {
    const std::string content = octets(bytes);
    ASSERT_TRUE(keep(content, 10'000)) << bytes;
    EXPECT_EQ(content_of(*large_.segment), content) << bytes;
    EXPECT_TRUE(large_.segment->is_sealed());
    EXPECT_EQ(large_.segment->group(0).sender, "from.example");
    EXPECT_EQ(large_.segment->recipients(), 2u);
    close(*ring_, std::exchange(large_.segment, nullptr)->file());
  }
}

TEST_F(LargeMailTest, holds_no_more_than_its_room_and_what_one_append_goes_beyond) {
  auto mail = begin();
  const std::string content = octets(40 * content_piece_bytes);
  for (size_t at = 0; at < content.size(); at += 50'000) {
    ASSERT_TRUE(turn_until([&] { return mail->has_room(); }));
    mail->append(std::string_view(content).substr(at, 50'000));
    EXPECT_LT(mail->pending_bytes(), LargeMail::room_bytes + 50'000);
  }
  EXPECT_GT(large_.rooms, 10);
}

TEST_F(LargeMailTest, is_there_for_the_next_run_with_its_index_or_without) {
  const std::string content = octets(1'100 * content_piece_bytes);  // beyond a segment's 64 MiB
  ASSERT_TRUE(keep(content, 500'000));
  ASSERT_EQ(names("mail").size(), 1u);
  const std::string path = large_.segment->path();
  for (const bool has_index : {true, false}) {
    if (!has_index) std::filesystem::resize_file(path, std::filesystem::file_size(path) - 8);
    const RecoveredMail recovered = recover();
    ASSERT_EQ(recovered.segments.size(), 1u) << has_index;
    EXPECT_EQ(recovered.segments[0]->recipients(), 2u);
    EXPECT_EQ(content_of(*recovered.segments[0]), content);
    close_files(recovered);
  }
}

TEST_F(LargeMailTest, leaves_nothing_to_the_next_run_before_it_is_whole) {
  auto mail = begin();
  append_all(*mail, octets(10 * content_piece_bytes), 100'000);
  ASSERT_EQ(names("mail").size(), 1u);
  EXPECT_TRUE(recover(true).damages.empty());
  EXPECT_EQ(names("mail").size(), 1u) << "who only looks takes nothing away";
  const RecoveredMail recovered = recover();
  EXPECT_TRUE(recovered.segments.empty());
  EXPECT_TRUE(recovered.damages.empty());
  EXPECT_TRUE(names("mail").empty());
}

TEST_F(LargeMailTest, goes_without_a_trace_when_it_is_abandoned) {
  auto mail = begin();
  append_all(*mail, octets(5 * content_piece_bytes), 100'000);
  mail->abandon();
  ASSERT_TRUE(turn_until([&] { return mail->is_over(); }));
  EXPECT_TRUE(names("mail").empty());
  EXPECT_FALSE(large_.segment);
}

TEST_F(LargeMailTest, is_refused_and_leaves_nothing_when_the_disk_refuses_any_step) {
  for (const io::OpKind kind :
       {io::OpKind::open, io::OpKind::allocate, io::OpKind::write, io::OpKind::truncate,
        io::OpKind::datasync, io::OpKind::rename, io::OpKind::sync_directory}) {
    large_.refusal.reset();
    proactor_->fault = [kind](const io::Op& op) { return op.kind == kind ? -ENOSPC : 0; };
    EXPECT_FALSE(keep(octets(5 * content_piece_bytes), 100'000)) << static_cast<int>(kind);
    EXPECT_TRUE(large_.refusal) << static_cast<int>(kind);
    EXPECT_TRUE(names("mail").empty()) << static_cast<int>(kind);
    proactor_->fault = [](const io::Op&) { return 0; };
  }
}

TEST_F(LargeMailTest, tells_a_piece_that_is_not_what_was_written) {
  const std::string content = octets(3 * content_piece_bytes);
  ASSERT_TRUE(keep(content, 100'000));
  const LargeContent where{large_.segment->file(), Salt::from(large_.segment->block(0).salt),
                           content.size()};
  const std::byte wrong{1};
  io::Write write;
  write.file = where.file;
  write.offset = where.place(content_piece_bytes).offset + 500;
  write.bytes = std::span(&wrong, 1);
  io::run(*ring_, write);
  EXPECT_EQ(content_of(*large_.segment), "damaged at 65536");
}

}  // namespace
}  // namespace sluice::spool
