#include "engine/intake/json_lines_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> read(std::string_view text, size_t piece_bytes = SIZE_MAX) {
  JsonLinesReader reader;
  std::vector<std::string> said;
  std::vector<std::string> names;
  Row row;
  for (bool in_header = true;;) {
    const ReadStatus status = in_header ? reader.header(names, row) : reader.next(row);
    if (status == ReadStatus::end) return said;
    if (status == ReadStatus::need_input) {
      const auto space = reader.buffer().space();
      const size_t bytes = std::min({piece_bytes, text.size(), space.size()});
      std::ranges::copy(text.substr(0, bytes), space.begin());
      text.remove_prefix(bytes);
      reader.buffer().filled(bytes);
      if (text.empty()) reader.buffer().finish();
    } else if (status == ReadStatus::row) {
      std::string line = fmt::format("{}:", in_header ? 0 : row.line);
      if (in_header) {
        for (const auto& name : names) line += "[" + name + "]";
      } else {
        for (const auto field : row.fields) line += "[" + std::string(field) + "]";
      }
      said.push_back(line);
      in_header = false;
    } else {
      said.push_back(fmt::format("{}:{}: {}", row.line,
                                 status == ReadStatus::broken ? "broken" : "bad", row.reason));
      if (status == ReadStatus::broken) return said;
    }
  }
}

constexpr std::string_view head = "{\"email\":\"a@b\",\"x\":1}\n";

TEST(JsonLinesReader, takes_columns_from_the_first_object_which_is_a_row_too) {
  EXPECT_THAT(read("{\"email\":\"a@b\",\"name\":\"Ann\"}\n{\"name\":\"Bob\",\"email\":\"c@d\"}"),
              ElementsAre("0:[email][name]", "1:[a@b][Ann]", "2:[c@d][Bob]"));
}

TEST(JsonLinesReader, keeps_numbers_as_they_are_written) {
  EXPECT_THAT(read("{\"n\":1.50}\n{\"n\": -0 }\n{\"n\":12345678901234567890123}\n{\"n\":1E2}\n"),
              ElementsAre("0:[n]", "1:[1.50]", "2:[-0]", "3:[12345678901234567890123]", "4:[1E2]"));
}

TEST(JsonLinesReader, makes_false_and_null_empty_and_true_true) {
  EXPECT_THAT(read("{\"v\":true}\n{\"v\":false}\n{\"v\":null}\n"),
              ElementsAre("0:[v]", "1:[true]", "2:[]", "3:[]"));
}

TEST(JsonLinesReader, unescapes_keys_and_strings) {
  EXPECT_THAT(read("{\"na\\u006de\":\"J\\u00f6rg \\\"J\\\"\\n\"}\n"),
              ElementsAre("0:[name]", "1:[J\xc3\xb6rg \"J\"\n]"));
}

TEST(JsonLinesReader, refuses_nested_values) {
  EXPECT_THAT(read(std::string(head) +
                   "{\"email\":\"c@d\",\"x\":[1]}\n{\"email\":\"c@d\",\"x\":{\"y\":1}}\n"),
              ElementsAre(testing::_, testing::_, HasSubstr("2:bad: 'x': a nested value"),
                          HasSubstr("3:bad: 'x': a nested value")));
}

TEST(JsonLinesReader, wants_the_first_objects_keys_of_each) {
  EXPECT_THAT(read(std::string(head) +
                   "{\"email\":\"c@d\"}\n{\"email\":\"c@d\",\"y\":1}\n{\"x\":1,\"x\":2}\n"),
              ElementsAre(testing::_, testing::_, HasSubstr("2:bad: 'x' is missing"),
                          HasSubstr("3:bad: 'y' is no key of the first object"),
                          HasSubstr("4:bad: 'x' is there twice")));
}

TEST(JsonLinesReader, goes_on_behind_a_line_that_is_no_object) {
  const auto said =
      read(std::string(head) +
           "nonsense\n[1]\n{\"email\":\"c@d\",\"x\":1} "
           "x\n{\"email\":\"c@d\",\"x\":1}{}\n{\"email\":\n{\"email\":\"\xff\",\"x\":1}\n"
           "{\"email\":\"c@d\",\"x\":01}\n{\"email\":\"e@f\",\"x\":2}\n");
  ASSERT_EQ(said.size(), 10u);
  for (size_t i = 2; i < 9; ++i) EXPECT_THAT(said[i], HasSubstr(fmt::format("{}:bad: ", i)));
  EXPECT_THAT(said[7], HasSubstr("not UTF-8"));
  EXPECT_EQ(said[9], "9:[e@f][2]");
}

TEST(JsonLinesReader, refuses_what_only_begins_like_a_value) {
  EXPECT_THAT(read("{\"v\":ntrue}\n"), ElementsAre(HasSubstr("1:broken: 'v': no JSON object")));
  EXPECT_THAT(read("{\"v\":1}\n{\"v\":nul}\n{\"v\":tru}\n{\"v\":1x}\n"),
              ElementsAre("0:[v]", "1:[1]", HasSubstr("2:bad: 'v'"), HasSubstr("3:bad: 'v'"),
                          HasSubstr("4:bad: 'v'")));
}

TEST(JsonLinesReader, tells_an_array_from_lines) {
  EXPECT_THAT(read("[{\"email\":\"a@b\"}]\n"), ElementsAre(HasSubstr("1:broken: a JSON array")));
}

TEST(JsonLinesReader, has_a_limit_on_the_length_of_a_line) {
  EXPECT_THAT(read("{\"a\":\"" + std::string(row_bytes_max, 'x') + "\"}\n"),
              ElementsAre(HasSubstr("1:broken: a row of more than")));
}

TEST(JsonLinesReader, says_the_same_however_the_list_is_cut) {
  constexpr std::string_view list =
      "\xef\xbb\xbf{\"email\":\"a@b\",\"x\":1}\r\n\n{\"x\":2,\"email\":\"c@d\"}\nnonsense\n{"
      "\"email\":\"e@f\",\"x\":null}";
  const auto whole = read(list);
  ASSERT_EQ(whole.size(), 5u);
  for (size_t bytes = 1; bytes < list.size(); ++bytes) EXPECT_EQ(read(list, bytes), whole) << bytes;
}

}  // namespace
}  // namespace sluice::engine::intake
