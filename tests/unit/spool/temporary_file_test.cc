#include "spool/temporary_file.h"

#include <cerrno>
#include <filesystem>
#include <vector>

#include "spool/sweep.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

class TemporaryFileTest : public SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    std::filesystem::create_directories(folder());
    proactor_ = std::make_unique<FaultyProactor>(*ring_);
  }
  void TearDown() override {
    proactor_.reset();
    SpoolTest::TearDown();
  }
  std::string folder() const { return spool() + "/campaigns"; }

  std::unique_ptr<FaultyProactor> proactor_;
};

TEST_F(TemporaryFileTest, has_only_its_temporary_name_until_it_is_handed_over) {
  TemporaryFile file(*proactor_);
  ASSERT_TRUE(file.create(folder(), ".new-"));
  ASSERT_EQ(file.write(octets("lo"), 3), 2);
  ASSERT_EQ(file.write(octets("hel"), 0), 3);
  ASSERT_EQ(file.sync(), 0);
  const auto before = names("campaigns");
  ASSERT_EQ(before.size(), 1u);
  EXPECT_TRUE(before[0].starts_with(".new-") && before[0].size() == 5 + 16) << before[0];
  ASSERT_EQ(file.hand_over(folder() + "/a"), 0);
  file.discard();
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"a"});
  EXPECT_EQ(text(read_file(folder() + "/a")), "hello");
}

TEST_F(TemporaryFileTest, does_not_replace_a_file) {
  write_file(folder() + "/a", octets("first"));
  {
    TemporaryFile file(*proactor_);
    ASSERT_TRUE(file.create(folder(), ".new-"));
    EXPECT_EQ(file.hand_over(folder() + "/a"), -EEXIST);
    EXPECT_EQ(names("campaigns").size(), 2u) << "gone before it was discarded";
  }
  EXPECT_EQ(names("campaigns"), std::vector<std::string>{"a"});
  EXPECT_EQ(text(read_file(folder() + "/a")), "first");
}

TEST_F(TemporaryFileTest, is_unlinked_with_the_object_and_its_descriptor_closed) {
  {
    ASSERT_TRUE(TemporaryFile(*proactor_).create(folder(), ".new-"));
  }
  EXPECT_TRUE(names("campaigns").empty());
  EXPECT_EQ(proactor_->count(io::OpKind::close_file), 1u);
  {
    TemporaryFile never_created(*proactor_);
  }
  EXPECT_EQ(proactor_->count(io::OpKind::close_file), 1u);
}

TEST_F(TemporaryFileTest, is_begun_anew_when_a_sweep_was_quicker_than_its_lock) {
  unsigned locks = 0;
  proactor_->fault = [&](const io::Op& op) {
    if (op.kind != io::OpKind::lock) return 0;
    if (++locks == 1) return -EWOULDBLOCK;  // held by the sweep
    if (locks == 2) std::filesystem::remove(folder() + "/" + names("campaigns").at(0));
    return 0;
  };
  TemporaryFile file(*proactor_);
  ASSERT_TRUE(file.create(folder(), ".new-"));
  EXPECT_EQ(locks, 3u);
  EXPECT_EQ(names("campaigns").size(), 1u);
  EXPECT_EQ(proactor_->count(io::OpKind::close_file), 2u);
  EXPECT_EQ(file.hand_over(folder() + "/a"), 0);
}

TEST_F(TemporaryFileTest, is_left_alone_by_a_sweep_while_it_is_written) {
  TemporaryFile file(*proactor_);
  ASSERT_TRUE(file.create(folder(), ".new-"));
  const std::string path = folder() + "/" + names("campaigns").at(0);
  Sweep sweep(*ring_);
  sweep.add(path, true);
  while (sweep.is_in_flight()) ring_->wait(io::never, 64);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(TemporaryFileTest, tells_what_refused_it) {
  for (const io::OpKind kind : {io::OpKind::open, io::OpKind::lock}) {
    proactor_->fault = [kind](const io::Op& op) { return op.kind == kind ? -ENOSPC : 0; };
    TemporaryFile file(*proactor_);
    const auto created = file.create(folder(), ".new-");
    ASSERT_FALSE(created) << static_cast<int>(kind);
    EXPECT_EQ(created.error().code, ErrorCode::no_space);
  }
  EXPECT_TRUE(names("campaigns").empty());
}

}  // namespace
}  // namespace sluice::spool
