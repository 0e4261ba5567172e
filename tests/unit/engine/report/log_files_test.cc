#include "engine/report/log_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::engine::report {
namespace {

using testing::ElementsAre;

class LogFiles : public testing::Test {
 protected:
  LogFiles() { std::filesystem::create_directory(folder_); }
  ~LogFiles() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text,
             std::ios::openmode mode = std::ios::trunc) const {
    std::ofstream(path(name), std::ios::binary | mode) << text;
  }
  static std::string line(const std::string& day) {
    return "{\"time\":\"2026-11-" + day + "T05:27:44.000000Z\",\"event\":\"held\"}\n";
  }

  const std::string folder_ = testing::TempDir() + "sluice_log_files_" + std::to_string(getpid());
};

TEST_F(LogFiles, are_in_the_order_of_their_times_whoever_rotated_them) {
  write("transactions.jsonl", line("20"));
  write("transactions.jsonl.1", line("17"));
  write("transactions.jsonl.2", line("11"));
  write("transactions-20261115T000000.000000Z.jsonl", line("14"));
  write("transactions.jsonl.3.gz", "x");
  write("other", "x");
  EXPECT_THAT(
      log_files(folder_, "").value(),
      ElementsAre(path("transactions.jsonl.2"), path("transactions-20261115T000000.000000Z.jsonl"),
                  path("transactions.jsonl.1"), path("transactions.jsonl")));
}

TEST_F(LogFiles, that_end_long_before_the_time_asked_for_are_left_out) {
  write("transactions.jsonl.1", line("17"));
  write("transactions.jsonl.2", line("14"));
  write("transactions.jsonl.3", line("11"));
  write("transactions.jsonl", line("20"));
  EXPECT_THAT(log_files(folder_, "2026-11-18T00:00:00.000000Z").value(),
              ElementsAre(path("transactions.jsonl.2"), path("transactions.jsonl.1"),
                          path("transactions.jsonl")));
  EXPECT_EQ(log_files(folder_, "2026-11-01T00:00:00.000000Z").value().size(), 4u);
}

TEST_F(LogFiles, of_a_missing_folder_are_an_error) {
  EXPECT_FALSE(log_files(folder_ + "/none", "").has_value());
}

TEST_F(LogFiles, reader_gives_whole_lines_and_goes_on_where_it_was) {
  write("f", "one\n\ntwo\nthr");
  LineReader reader(path("f"));
  std::vector<std::string> lines;
  const auto visit = [&lines](std::string_view text) { lines.emplace_back(text); };
  ASSERT_TRUE(reader.read(visit));
  EXPECT_THAT(lines, ElementsAre("one", "", "two"));
  write("f", "ee\nfour\n", std::ios::app);
  ASSERT_TRUE(reader.read(visit));
  EXPECT_THAT(lines, ElementsAre("one", "", "two", "three", "four"));
}

TEST_F(LogFiles, reader_puts_lines_together_across_its_buffer) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back(std::to_string(i) + std::string(static_cast<size_t>(i) % 1500, 'x'));
    text += expected.back() + "\n";
  }
  write("f", text);
  std::vector<std::string> lines;
  LineReader(path("f")).read([&lines](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, expected);
}

TEST_F(LogFiles, reader_drops_a_line_without_end) {
  write("f", std::string(3 * LineReader::line_bytes_max, 'x') + "\nlast\n");
  std::vector<std::string> lines;
  LineReader(path("f")).read([&lines](std::string_view line) { lines.emplace_back(line); });
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LE(lines[0].size(), LineReader::line_bytes_max);
  EXPECT_EQ(lines[1], "last");
}

TEST_F(LogFiles, reader_knows_when_its_file_was_moved_away) {
  write("f", "one\n");
  LineReader reader(path("f"));
  EXPECT_FALSE(reader.was_replaced());
  std::filesystem::rename(path("f"), path("g"));
  EXPECT_TRUE(reader.was_replaced());
  write("f", "two\n");
  EXPECT_TRUE(reader.was_replaced());
}

}  // namespace
}  // namespace sluice::engine::report
