#include "engine/intake/csv_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// All that a reader says about `text`, a line of text each, when it gets at most `piece_bytes`
/// octets at a time.
template <class Reader>
std::vector<std::string> transcript(std::string_view text, size_t piece_bytes) {
  Reader reader;
  std::vector<std::string> said;
  Row row;
  bool in_header = true;
  for (;;) {
    std::vector<std::string> names;
    const ReadStatus status = in_header ? reader.header(names, row) : reader.next(row);
    if (status == ReadStatus::need_input) {
      EXPECT_FALSE(reader.buffer().is_finished());
      const auto space = reader.buffer().space();
      const size_t bytes = std::min({piece_bytes, text.size(), space.size()});
      std::ranges::copy(text.substr(0, bytes), space.begin());
      text.remove_prefix(bytes);
      reader.buffer().filled(bytes);
      if (text.empty()) reader.buffer().finish();
      continue;
    }
    if (status == ReadStatus::end) return said;
    if (status == ReadStatus::row) {
      std::string line = fmt::format("{}:", in_header ? 0 : row.line);
      if (in_header) {
        for (const auto& name : names) line += "[" + name + "]";
      } else {
        for (const auto field : row.fields) line += "[" + std::string(field) + "]";
      }
      said.push_back(line);
      in_header = false;
      continue;
    }
    const char* what = status == ReadStatus::broken ? "broken" : "bad";
    said.push_back(fmt::format("{}:{}: {}", row.line, what, row.reason));
    if (status == ReadStatus::broken) return said;
  }
}

std::vector<std::string> read(std::string_view text) {
  return transcript<CsvReader>(text, text.size() + 1);
}

TEST(CsvReader, reads_rows_that_end_with_lf_or_crlf_or_the_file) {
  EXPECT_THAT(read("email,name\na@b,Ann\r\nc@d,\ne@f,Eve"),
              ElementsAre("0:[email][name]", "2:[a@b][Ann]", "3:[c@d][]", "4:[e@f][Eve]"));
}

TEST(CsvReader, takes_commas_quotes_and_newlines_from_quoted_fields) {
  EXPECT_THAT(read("email,name\na@b,\"Doe, \"\"J\"\"\r\nsecond\"\nc@d,\"\"\n"),
              ElementsAre("0:[email][name]", "2:[a@b][Doe, \"J\"\r\nsecond]", "4:[c@d][]"));
}

TEST(CsvReader, leaves_a_quote_inside_an_unquoted_field_alone) {
  EXPECT_THAT(read("a,b\nBob \"B\",x\n"), ElementsAre("0:[a][b]", "2:[Bob \"B\"][x]"));
}

TEST(CsvReader, passes_over_a_byte_order_mark_and_empty_lines) {
  EXPECT_THAT(read("\xef\xbb\xbf\n email , name\n\r\na,b\n\n"),
              ElementsAre("0:[email][name]", "4:[a][b]"));
}

TEST(CsvReader, tells_utf_16_from_text) {
  EXPECT_THAT(read(std::string_view("\xff\xfe"
                                    "e\0m\0",
                                    6)),
              ElementsAre(HasSubstr("UTF-16")));
}

TEST(CsvReader, says_how_many_fields_a_ragged_row_has_and_goes_on) {
  EXPECT_THAT(read("a,b\n1\n1,2,3\nx,y\n"),
              ElementsAre("0:[a][b]", "2:bad: 1 field where the header has 2",
                          "3:bad: 3 fields where the header has 2", "4:[x][y]"));
}

TEST(CsvReader, names_the_line_where_an_unclosed_quote_opens) {
  EXPECT_THAT(read("a,b\n1,\"x\ny\",\n1,\"x\ny\"\n3,\"open\nto the end\n"),
              ElementsAre("0:[a][b]", HasSubstr("2:bad"), "4:[1][x\ny]",
                          "6:broken: a quote opens here and is not closed"));
  EXPECT_THAT(read("a,b\n\"x\ny\",\"open"),
              ElementsAre("0:[a][b]", "3:broken: a quote opens here and is not closed"));
}

TEST(CsvReader, refuses_text_behind_a_closing_quote_and_a_bare_carriage_return) {
  EXPECT_THAT(read("a,b\n\"x\"y,1\n2\r3,4\nx,y\n"),
              ElementsAre("0:[a][b]", HasSubstr("2:bad: text behind"),
                          HasSubstr("3:bad: a bare carriage"), "4:[x][y]"));
}

TEST(CsvReader, has_a_limit_on_the_length_of_a_row) {
  const std::string longest(row_bytes_max - 2, 'x');
  EXPECT_THAT(read("a,b\n1," + longest + "\n2,y\n"),
              ElementsAre("0:[a][b]", testing::_, "3:[2][y]"));
  EXPECT_THAT(read("a,b\n1," + longest + "x\n"),
              ElementsAre("0:[a][b]", HasSubstr("2:broken: a row of more than")));
  EXPECT_THAT(read("a,b\n1,\"" + longest + longest),
              ElementsAre("0:[a][b]", HasSubstr("2:broken: a quote opens here")));
}

TEST(CsvReader, says_the_same_however_the_list_is_cut) {
  constexpr std::string_view list =
      "\xef\xbb\xbf"
      "email,name\r\na@b,\"Doe, "
      "\"\"J\"\"\r\nx\"\r\n\nc@d,J\xc3\xb6rg\n1\n\"x\"y,2\nz,\rq\n\"\",\"\"\ne@f,\"open\n";
  const auto whole = transcript<CsvReader>(list, list.size());
  ASSERT_EQ(whole.size(), 8u);
  for (size_t bytes = 1; bytes < list.size(); ++bytes)
    EXPECT_EQ(transcript<CsvReader>(list, bytes), whole) << bytes;
}

// Rows that were written by RFC 4180's rules come back as they were.
TEST(CsvReader, reads_back_what_was_written) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    const size_t columns = 1 + random() % 4;
    std::string text;
    std::vector<std::string> expected;
    uint64_t line = 1;
    for (size_t r = 0; r < 1 + random() % 6; ++r) {
      std::string said = fmt::format("{}:", r == 0 ? 0 : line);
      for (size_t c = 0; c < columns; ++c) {
        std::string value = "v";  // an empty line would be no row
        for (size_t i = random() % 6; i > 0; --i) value.push_back("ab,\"\r\n\xc3"[random() % 7]);
        said += "[" + value + "]";
        std::string quoted = "\"";
        for (const char octet : value) quoted += octet == '"' ? "\"\"" : std::string(1, octet);
        const bool must_quote = value.find_first_of(",\r\n") != value.npos;
        text += (c > 0 ? "," : "") + (must_quote || random() % 2 == 0 ? quoted + '"' : value);
        line += static_cast<uint64_t>(std::ranges::count(value, '\n'));
      }
      expected.push_back(said);
      text += random() % 2 == 0 ? "\r\n" : "\n";
      ++line;
    }
    EXPECT_EQ(transcript<CsvReader>(text, 1 + random() % 8), expected) << text;
  }
}

}  // namespace
}  // namespace sluice::engine::intake
