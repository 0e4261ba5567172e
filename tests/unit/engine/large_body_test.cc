#include "engine/large_body.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "spool/segment_writer.h"

namespace sluice::engine {
namespace {

using spool::content_piece_bytes;

/// A file whose reads are done when the test says so.
class SlowDisk final : public io::Proactor {
 public:
  void submit(io::Op& op) override {
    ASSERT_EQ(read_, nullptr) << "one read at a time";
    read_ = static_cast<io::Read*>(&op);
    op.in_flight = true;
  }
  bool is_reading() const { return read_ != nullptr; }
  void do_read(int32_t error = 0) {
    io::Read& read = *std::exchange(read_, nullptr);
    const size_t octets = std::min(read.bytes.size(), file.size() - read.offset);
    std::memcpy(read.bytes.data(), file.data() + read.offset, octets);
    read.in_flight = false;
    read.callback(read.owner, read, {.result = error < 0 ? error : static_cast<int32_t>(octets)});
  }
  void cancel(io::Op&) override {}
  unsigned wait(io::Instant, unsigned) override { return 0; }
  io::Instant now() const override { return {}; }
  io::WallTime wall() const override { return {}; }
  uint64_t random() override { return 0; }
  void wake(io::Proactor&) override {}
  unsigned in_flight() const override { return read_ != nullptr; }

  std::vector<std::byte> file;

 private:
  io::Read* read_ = nullptr;
};

class LargeBodyTest : public testing::Test, public LargeBody::Listener {
 protected:
  spool::LargeContent store(const std::string& text) {
    disk_.file.clear();
    const spool::Salt salt{1, 2};
    spool::SegmentWriter writer(disk_.file, salt);
    writer.file_header(spool::FileKind::mail);
    for (size_t at = 0; at < text.size(); at += content_piece_bytes)
      writer.record(spool::RecordType::content, 3,
                    std::as_bytes(std::span(text))
                        .subspan(at)
                        .first(std::min(content_piece_bytes, text.size() - at)));
    return {.file = {}, .salt = salt, .bytes = text.size()};
  }
  void body_loaded() override { ++loaded_; }
  /// What it has at hand, `step` octets at a time.
  std::string read_ready(size_t step) {
    std::string text, out(step, '\0');
    while (body_.is_ready()) {
      const size_t octets = body_.read(out);
      if (octets == 0) break;
      text.append(out, 0, octets);
    }
    return text;
  }
  static std::string text(size_t octets) {
    std::string all(octets, '\0');
    for (size_t i = 0; i < octets; ++i) all[i] = static_cast<char>('a' + i / 997 % 26);
    return all;
  }

  SlowDisk disk_;
  LargeBody body_{disk_, *this};
  int loaded_ = 0;
};

TEST_F(LargeBodyTest, gives_the_content_as_it_is_read_and_then_its_end) {
  const std::string content = text(2 * content_piece_bytes + 100);
  body_.begin(store(content));
  std::string got;
  for (int piece = 0; piece < 3; ++piece) {
    EXPECT_FALSE(body_.is_ready());
    disk_.do_read();
    got += read_ready(1000);
  }
  EXPECT_EQ(got, content);
  EXPECT_FALSE(disk_.is_reading());
  char more;
  EXPECT_TRUE(body_.is_ready());
  EXPECT_EQ(body_.read({&more, 1}), 0u);
  EXPECT_EQ(loaded_, 3);
}

TEST_F(LargeBodyTest, begins_anew_though_it_is_being_read) {
  const std::string content = text(2 * content_piece_bytes);
  body_.begin(store(content));
  disk_.do_read();
  read_ready(content_piece_bytes);
  ASSERT_TRUE(disk_.is_reading());
  body_.begin({.file = {}, .salt = {1, 2}, .bytes = content.size()});
  disk_.do_read();  // of the second piece, which nobody wants any more
  EXPECT_FALSE(body_.is_ready());
  disk_.do_read();
  EXPECT_EQ(read_ready(777).substr(0, 2000), content.substr(0, 2000));
}

TEST_F(LargeBodyTest, says_why_it_cannot_go_on) {
  body_.begin(store(text(100)));
  disk_.file[60] ^= std::byte{1};
  disk_.do_read();
  EXPECT_FALSE(body_.is_ready());
  EXPECT_EQ(body_.failure(), "the message is damaged on our disk");
  disk_.file[60] ^= std::byte{1};
  body_.begin({.file = {}, .salt = {1, 2}, .bytes = 100});
  disk_.do_read(-EIO);
  EXPECT_EQ(body_.failure(), "the message cannot be read at the moment");
}

}  // namespace
}  // namespace sluice::engine
