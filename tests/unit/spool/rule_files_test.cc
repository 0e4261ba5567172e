#include "spool/rule_files.h"

#include <cerrno>
#include <optional>

#include "spool/spool.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

class RuleFilesTest : public SpoolTest {
 protected:
  std::string hand_off(std::string_view text) {
    const auto name = hand_off_rule(*ring_, spool(), text);
    EXPECT_TRUE(name) << name.error().message;
    return name.value_or("");
  }
};

TEST_F(RuleFilesTest, are_read_in_the_order_in_which_they_were_handed_over) {
  const auto none = read_rules(*ring_, spool());
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->files.empty());
  std::vector<std::string> given;
  for (const std::string_view text : {"one", "two", "three"}) given.push_back(hand_off(text));
  EXPECT_EQ(names("rules"), given);
  const auto rules = read_rules(*ring_, spool());
  ASSERT_TRUE(rules);
  ASSERT_EQ(rules->files.size(), 3u);
  EXPECT_EQ(rules->files[0].text, "one");
  EXPECT_EQ(rules->files[2].text, "three");
  EXPECT_EQ(rules->files[2].name, given[2]);
  EXPECT_TRUE(rules->unreadable.empty());
}

TEST_F(RuleFilesTest, sort_behind_one_from_the_future) {
  hand_off("now");
  const std::string future = "05000000000000000000-0123456789abcdef";
  write_file(spool() + "/rules/" + future, octets("future"));
  const std::string name = hand_off("later");
  EXPECT_EQ(name.substr(0, 21), "05000000000000000001-");
  EXPECT_TRUE(is_rule_name(name));
}

TEST_F(RuleFilesTest, leave_nothing_behind_when_the_disk_refuses) {
  hand_off("one");
  for (const io::OpKind kind : {io::OpKind::open, io::OpKind::lock, io::OpKind::write,
                                io::OpKind::datasync, io::OpKind::rename}) {
    FaultyProactor faulty(*ring_);
    faulty.fault = [&](const io::Op& op) { return op.kind == kind ? -ENOSPC : 0; };
    const auto refused = hand_off_rule(faulty, spool(), "two");
    ASSERT_FALSE(refused) << static_cast<int>(kind);
    EXPECT_EQ(refused.error().code, ErrorCode::no_space);
    EXPECT_EQ(names("rules").size(), 1u) << static_cast<int>(kind);
  }
}

TEST_F(RuleFilesTest, are_durable_before_they_are_said_to_be_handed_over) {
  hand_off("one");
  FaultyProactor watched(*ring_);
  std::vector<io::OpKind> order;
  watched.fault = [&](const io::Op& op) {
    if (op.kind == io::OpKind::datasync || op.kind == io::OpKind::rename) order.push_back(op.kind);
    const auto* sync = static_cast<const io::SyncDirectory*>(&op);
    if (op.kind == io::OpKind::sync_directory && sync->path.ends_with("/rules"))
      order.push_back(op.kind);
    return 0;
  };
  ASSERT_TRUE(hand_off_rule(watched, spool(), "two"));
  EXPECT_EQ(order,
            (std::vector{io::OpKind::datasync, io::OpKind::rename, io::OpKind::sync_directory}));
}

TEST_F(RuleFilesTest, that_are_none_are_told_and_left_alone) {
  hand_off("one");
  write_file(spool() + "/rules/notes.txt", octets("mine"));
  write_file(spool() + "/rules/.rule-0123456789abcdef", octets("half a ru"));
  const std::vector<std::byte> large(rule_bytes_max + 1);
  write_file(spool() + "/rules/00000000000000000001-0123456789abcdef", large);
  const auto rules = read_rules(*ring_, spool());
  ASSERT_TRUE(rules);
  EXPECT_EQ(rules->files.size(), 1u);
  ASSERT_EQ(rules->unreadable.size(), 2u);
  EXPECT_EQ(names("rules").size(), 4u);
  EXPECT_FALSE(hand_off_rule(*ring_, spool(), std::string(rule_bytes_max + 1, 'x')));
}

TEST_F(RuleFilesTest, are_read_without_blocking) {
  const std::string name = hand_off("one");
  std::optional<std::expected<RuleFile, Error>> there, gone;
  read_rule(*ring_, spool() + "/rules/" + name, [&](auto r) { there = std::move(r); });
  read_rule(*ring_, spool() + "/rules/" + name + "x", [&](auto r) { gone = std::move(r); });
  EXPECT_FALSE(there || gone) << "called back from within";
  while (!there || !gone) ring_->wait(io::never, 64);
  ASSERT_TRUE(*there);
  EXPECT_EQ((*there)->name, name);
  EXPECT_EQ((*there)->text, "one");
  ASSERT_FALSE(*gone);
  EXPECT_EQ(gone->error().code, ErrorCode::missing);
}

TEST_F(RuleFilesTest, have_names_of_one_shape) {
  EXPECT_TRUE(is_rule_name("01700000000123456789-0123456789abcdef"));
  for (const std::string_view name :
       {"", "1700000000123456789-0123456789abcdef", "01700000000123456789-0123456789abcdeF",
        "01700000000123456789_0123456789abcdef", "01700000000123456789-0123456789abcde",
        "11700000000123456789-0123456789abcdef", "0170000000012345678x-0123456789abcdef"})
    EXPECT_FALSE(is_rule_name(name)) << name;
}

}  // namespace
}  // namespace sluice::spool
