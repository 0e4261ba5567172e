// Files and directories.
#include <fcntl.h>

#include "tests/contract/machine.h"

namespace sluice::io::contract {

TEST_P(ProactorContract, what_was_written_is_read_back) {
  Machine machine(GetParam());
  const std::string text = pattern(300'000);
  const File file = machine.open(machine.path("file"), O_RDWR | O_CREAT | O_EXCL);
  ASSERT_EQ(machine.write(file, text, 0), 300'000);
  ASSERT_EQ(machine.write(file, "middle", 100'000), 6);
  Datasync datasync;
  datasync.file = file;
  EXPECT_EQ(machine.run(datasync), 0);
  std::string expected = text;
  expected.replace(100'000, 6, "middle");
  EXPECT_TRUE(machine.read(file, 0, 300'000) == expected);
  EXPECT_EQ(machine.read(file, 99'999, 8), expected.substr(99'999, 8));
  EXPECT_EQ(machine.close(file), 0);
}

TEST_P(ProactorContract, a_read_is_short_only_at_the_end_of_the_file) {
  Machine machine(GetParam());
  const File file = machine.open(machine.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(machine.write(file, "0123456789", 0), 10);
  EXPECT_EQ(machine.read(file, 6, 100), "6789");
  EXPECT_EQ(machine.read(file, 10, 100), "");
  EXPECT_EQ(machine.read(file, 1000, 100), "");
  EXPECT_EQ(machine.read(file, 0, 0), "");
}

TEST_P(ProactorContract, appends_go_to_the_end_wherever_it_is) {
  Machine machine(GetParam());
  const std::string path = machine.path("log");
  const File first = machine.open(path, O_WRONLY | O_CREAT | O_APPEND);
  const File second = machine.open(path, O_RDWR | O_APPEND);
  EXPECT_EQ(machine.write(first, "one ", Write::append_offset), 4);
  EXPECT_EQ(machine.write(second, "two ", Write::append_offset), 4);
  EXPECT_EQ(machine.write(first, "three", Write::append_offset), 5);
  EXPECT_EQ(machine.read(second, 0, 100), "one two three");
}

TEST_P(ProactorContract, open_says_what_is_in_the_way) {
  Machine machine(GetParam());
  const auto open = [&](const std::string& name, int flags) {
    Open op;
    op.path = machine.path(name);
    op.flags = flags;
    const int32_t result = machine.run(op);
    EXPECT_EQ(op.file.is_open(), result == 0);
    return result;
  };
  EXPECT_EQ(open("missing", O_RDONLY), -ENOENT);
  EXPECT_EQ(open("missing/file", O_WRONLY | O_CREAT), -ENOENT);
  EXPECT_EQ(open("file", O_WRONLY | O_CREAT | O_EXCL), 0);
  EXPECT_EQ(open("file", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
  EXPECT_EQ(open("file/file", O_WRONLY | O_CREAT), -ENOTDIR);
  EXPECT_EQ(open("", O_RDONLY | O_DIRECTORY), 0);
  EXPECT_EQ(open("", O_WRONLY), -EISDIR);
}

TEST_P(ProactorContract, open_with_truncate_empties_the_file) {
  Machine machine(GetParam());
  ASSERT_EQ(machine.write(machine.open(machine.path("file"), O_WRONLY | O_CREAT), "old", 0), 3);
  const File file = machine.open(machine.path("file"), O_RDWR | O_TRUNC);
  EXPECT_EQ(machine.read(file, 0, 10), "");
}

TEST_P(ProactorContract, a_file_that_is_not_open_is_refused) {
  Machine machine(GetParam());
  Datasync datasync;
  EXPECT_EQ(machine.run(datasync), -EBADF);
  Write write;
  write.bytes = std::as_bytes(std::span("x", 1));
  EXPECT_EQ(machine.run(write), -EBADF);
  const File file = machine.open(machine.path("file"), O_RDONLY | O_CREAT);
  EXPECT_EQ(machine.write(file, "x", 0), -EBADF);
}

TEST_P(ProactorContract, a_full_disk_is_an_error_of_the_write) {
  Machine machine(GetParam());
  const File file = machine.open(machine.world().full_file(), O_WRONLY);
  EXPECT_EQ(machine.write(file, "text", 0), -ENOSPC);
  EXPECT_EQ(machine.close(file), 0);
}

TEST_P(ProactorContract, a_forbidden_directory_is_eacces) {
  Machine machine(GetParam());
  const std::string directory = machine.world().forbidden_directory();
  Open open;
  open.path = directory + "/file";
  open.flags = O_WRONLY | O_CREAT;
  EXPECT_EQ(machine.run(open), -EACCES);
  MakeDirectory make;
  make.path = directory + "/below";
  EXPECT_EQ(machine.run(make), -EACCES);
  ListDirectory list;
  list.path = directory;
  EXPECT_EQ(machine.run(list), -EACCES);
}

TEST_P(ProactorContract, truncate_and_allocate_change_and_keep_the_size) {
  Machine machine(GetParam());
  const std::string path = machine.path("file");
  const File file = machine.open(path, O_RDWR | O_CREAT);
  ASSERT_EQ(machine.write(file, "0123456789", 0), 10);
  Truncate truncate;
  truncate.file = file;
  truncate.size = 4;
  EXPECT_EQ(machine.run(truncate), 0);
  EXPECT_EQ(machine.read(file, 0, 10), "0123");
  Allocate allocate;
  allocate.file = file;
  allocate.length = 1 << 20;
  const int32_t result = machine.run(allocate);
  ASSERT_TRUE(result == 0 || result == -EOPNOTSUPP) << result;
  Stat stat;
  stat.path = path;
  ASSERT_EQ(machine.run(stat), 0);
  EXPECT_EQ(stat.size, 4u);
  EXPECT_FALSE(stat.is_directory);
  if (result == 0) {
    EXPECT_GE(stat.bytes_on_disk, 1u << 20);
  }
  truncate.size = 8;
  EXPECT_EQ(machine.run(truncate), 0);
  EXPECT_EQ(machine.read(file, 0, 10), std::string("0123\0\0\0\0", 8));
}

TEST_P(ProactorContract, stat_tells_directories_and_what_is_missing) {
  Machine machine(GetParam());
  Stat stat;
  stat.path = machine.world().scratch();
  EXPECT_EQ(machine.run(stat), 0);
  EXPECT_TRUE(stat.is_directory);
  stat.path = machine.path("missing");
  EXPECT_EQ(machine.run(stat), -ENOENT);
}

TEST_P(ProactorContract, a_lock_has_one_holder_until_its_file_closes) {
  Machine machine(GetParam());
  const std::string path = machine.path("owner");
  Lock mine, theirs;
  mine.file = machine.open(path, O_RDWR | O_CREAT);
  theirs.file = machine.open(path, O_RDWR);
  EXPECT_EQ(machine.run(mine), 0);
  EXPECT_EQ(machine.run(mine), 0);
  EXPECT_EQ(machine.run(theirs), -EWOULDBLOCK);
  ASSERT_EQ(machine.close(mine.file), 0);
  EXPECT_EQ(machine.run(theirs), 0);
}

TEST_P(ProactorContract, directories_are_made_once_and_listed_in_order) {
  Machine machine(GetParam());
  MakeDirectory make;
  make.path = machine.path("below");
  EXPECT_EQ(machine.run(make), 0);
  EXPECT_EQ(machine.run(make), -EEXIST);
  make.path = machine.path("missing/below");
  EXPECT_EQ(machine.run(make), -ENOENT);
  for (const char* name : {"b", "a", "c"})
    machine.close(machine.open(machine.path(name), O_WRONLY | O_CREAT));
  ListDirectory list;
  list.path = machine.world().scratch();
  EXPECT_EQ(machine.run(list), 0);
  EXPECT_EQ(list.names, (std::vector<std::string>{"a", "b", "below", "c"}));
  EXPECT_EQ(machine.run(list), 0);
  EXPECT_EQ(list.names.size(), 4u);
  list.path = machine.path("missing");
  EXPECT_EQ(machine.run(list), -ENOENT);
  list.path = machine.path("a");
  EXPECT_EQ(machine.run(list), -ENOTDIR);
}

TEST_P(ProactorContract, rename_replaces_unless_told_to_keep) {
  Machine machine(GetParam());
  const std::string from = machine.path("from"), to = machine.path("to");
  ASSERT_EQ(machine.write(machine.open(from, O_WRONLY | O_CREAT), "new", 0), 3);
  ASSERT_EQ(machine.write(machine.open(to, O_WRONLY | O_CREAT), "old", 0), 3);
  Rename rename;
  rename.from = from;
  rename.to = to;
  rename.keep_existing = true;
  EXPECT_EQ(machine.run(rename), -EEXIST);
  EXPECT_EQ(machine.read(machine.open(to, O_RDONLY), 0, 9), "old");
  EXPECT_EQ(machine.read(machine.open(from, O_RDONLY), 0, 9), "new");
  rename.keep_existing = false;
  EXPECT_EQ(machine.run(rename), 0);
  EXPECT_EQ(machine.read(machine.open(to, O_RDONLY), 0, 9), "new");
  EXPECT_EQ(machine.run(rename), -ENOENT);
  rename.from = to;
  rename.to = from;
  rename.keep_existing = true;
  EXPECT_EQ(machine.run(rename), 0);
  SyncDirectory sync;
  sync.path = machine.world().scratch();
  EXPECT_EQ(machine.run(sync), 0);
}

TEST_P(ProactorContract, an_unlinked_file_is_gone_by_name_and_there_for_who_has_it_open) {
  Machine machine(GetParam());
  const File file = machine.open(machine.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(machine.write(file, "text", 0), 4);
  Unlink unlink;
  unlink.path = machine.path("file");
  EXPECT_EQ(machine.run(unlink), 0);
  EXPECT_EQ(machine.run(unlink), -ENOENT);
  EXPECT_EQ(machine.read(file, 0, 9), "text");
}

TEST_P(ProactorContract, syncing_a_missing_directory_fails) {
  Machine machine(GetParam());
  SyncDirectory sync;
  sync.path = machine.path("missing");
  EXPECT_EQ(machine.run(sync), -ENOENT);
  machine.close(machine.open(machine.path("file"), O_WRONLY | O_CREAT));
  sync.path = machine.path("file");
  EXPECT_EQ(machine.run(sync), -ENOTDIR);
}

TEST_P(ProactorContract, a_watch_tells_of_files_moved_in_and_of_files_written) {
  Machine machine(GetParam());
  MakeDirectory make;
  make.path = machine.path("watched");
  ASSERT_EQ(machine.run(make), 0);
  Recorded<WatchDirectory> watch;
  watch.op.path = make.path;
  machine[0].submit(watch.op);
  machine.close(machine.open(machine.path("elsewhere"), O_WRONLY | O_CREAT));
  machine.pass(2ms);
  EXPECT_EQ(watch.completions, 0u);

  Rename rename;
  rename.from = machine.path("elsewhere");
  rename.to = machine.path("watched/file");
  ASSERT_EQ(machine.run(rename), 0);
  ASSERT_TRUE(machine.until([&] { return watch.completions == 1; }));

  const File file = machine.open(machine.path("watched/file"), O_WRONLY);
  ASSERT_EQ(machine.write(file, "text", 0), 4);
  machine.close(file);
  ASSERT_TRUE(machine.until([&] { return watch.completions == 2; }));
  EXPECT_EQ(watch.results, std::vector<int32_t>(2, 0));

  machine[0].cancel(watch.op);
  ASSERT_TRUE(machine.until([&] { return watch.end.has_value(); }));
  EXPECT_EQ(watch.end, -ECANCELED);
}

TEST_P(ProactorContract, watching_a_missing_directory_fails) {
  Machine machine(GetParam());
  WatchDirectory watch;
  watch.path = machine.path("missing");
  EXPECT_EQ(machine.run(watch), -ENOENT);
}

}  // namespace sluice::io::contract
