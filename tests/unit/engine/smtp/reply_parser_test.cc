#include "engine/smtp/reply_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::engine::smtp {
namespace {

using namespace std::string_literals;

// Everything the parser makes of `octets`, fed in pieces of `piece_bytes`: "250 text" a reply, in
// brackets; garbage as !reason, and its text in `shown`.
std::string parse(std::string_view octets, size_t piece_bytes, std::string& shown) {
  ReplyParser parser;
  std::string told;
  while (!octets.empty()) {
    // A copy of just that size, for the sanitizers to see what is read beyond it.
    const std::string_view cut = octets.substr(0, piece_bytes);
    const std::vector<char> piece(cut.begin(), cut.end());
    octets.remove_prefix(cut.size());
    std::string_view rest(piece.data(), piece.size());
    for (;;) {
      Reply reply;
      const ReplyParser::Step step = parser.next(rest, reply);
      if (step == ReplyParser::Step::need_more) break;
      if (step == ReplyParser::Step::garbage) {
        shown = reply.text;
        return told + "!" + std::string(parser.reason());
      }
      told += "[" + std::to_string(reply.code) + ":" + std::string(reply.text) + "]";
    }
    EXPECT_TRUE(rest.empty());
  }
  return told;
}

// The same at every way to cut it in pieces of one size.
std::string parse_in_pieces(std::string_view octets) {
  std::string shown, other_shown;
  const std::string told = parse(octets, SIZE_MAX, shown);
  for (size_t piece_bytes = 1; piece_bytes < octets.size(); piece_bytes += 1 + piece_bytes / 64) {
    const std::string other = parse(octets, piece_bytes, other_shown);
    if (other != told || other_shown != shown) {
      return told + shown + " but in pieces of " + std::to_string(piece_bytes) + " " + other +
             other_shown;
    }
  }
  return told;
}

EnhancedCode enhanced(std::string_view text) { return Reply{.text = text}.enhanced(); }

bool is(EnhancedCode code, int status, int subject, int detail) {
  return code.status == status && code.subject == subject && code.detail == detail;
}

TEST(ReplyParser, cuts_replies_at_their_ends) {
  EXPECT_EQ(parse_in_pieces("220 hi\r\n250 ok\r\n354 go\r\n"),
            "[220:220 hi][250:250 ok][354:354 go]");
  EXPECT_EQ(parse_in_pieces("220 hi\r\n250 not who"), "[220:220 hi]");
}

TEST(ReplyParser, joins_the_lines_of_a_reply_codes_included) {
  EXPECT_EQ(parse_in_pieces("250-a\r\n250-\r\n250 c\r\n221 bye\r\n"),
            "[250:250-a\n250-\n250 c][221:221 bye]");
}

TEST(ReplyParser, takes_a_code_without_text) {
  EXPECT_EQ(parse_in_pieces("250\r\n250 \r\n250-x\r\n250\r\n"),
            "[250:250][250:250 ][250:250-x\n250]");
}

TEST(ReplyParser, tolerates_bare_line_feeds) {
  EXPECT_EQ(parse_in_pieces("250-a\n250 b\n354 go\r\n"), "[250:250-a\n250 b][354:354 go]");
}

TEST(ReplyParser, keeps_control_octets_as_data) {
  EXPECT_EQ(parse_in_pieces("550 a\0b\rc\x1b[2Jd\xff\r\r\n"s), "[550:550 a\0b\rc\x1b[2Jd\xff\r]"s);
}

TEST(ReplyParser, refuses_what_is_no_reply) {
  for (const std::string line : {"", "hello", "25", "2500 ok", "250x", "250\tok", "150 ok",
                                 "650 ok", "25O ok", " 250 ok", "-250 ok"}) {
    EXPECT_EQ(parse_in_pieces(line + "\r\n"), "!not an SMTP reply") << line;
  }
}

TEST(ReplyParser, refuses_lines_of_different_codes) {
  EXPECT_EQ(parse_in_pieces("250-a\r\n251 b\r\n"), "!the reply's lines have different codes");
}

TEST(ReplyParser, bounds_a_line_whether_it_ends_or_not) {
  const std::string longest = "250 " + std::string(ReplyParser::reply_line_bytes_max - 4, 'x');
  EXPECT_EQ(parse_in_pieces(longest + "\r\n"), "[250:" + longest + "]");
  EXPECT_EQ(parse_in_pieces(longest + "\n"), "[250:" + longest + "]");
  EXPECT_EQ(parse_in_pieces(longest + "x\n"), "!a line of the reply is too long");
  EXPECT_EQ(parse_in_pieces(longest + "x\r\n"), "!a line of the reply is too long");
  EXPECT_EQ(parse_in_pieces(longest + "xx"), "!a line of the reply is too long");
  EXPECT_EQ(parse_in_pieces("250-a\r\n" + longest + "xx"), "!a line of the reply is too long");
}

TEST(ReplyParser, has_room_for_the_longest_line_behind_the_longest_lines) {
  std::string text;
  for (int i = 0; i < 4; ++i)
    text += "250-" + std::string(i < 3 ? 2043 : 2044, 'x') + "\n";  // reply_bytes_max and an LF
  const std::string longest = "250 " + std::string(ReplyParser::reply_line_bytes_max - 4, 'x');
  EXPECT_EQ(parse_in_pieces(text + longest + "\r\n"), "!the reply is too long");
  EXPECT_EQ(parse_in_pieces(text + longest + "xx"), "!a line of the reply is too long");
}

TEST(ReplyParser, bounds_the_octets_of_a_reply) {
  const std::string line =
      "250-" + std::string(2043, 'x') + "\n";  // 2048 octets of text with its LF
  std::string text = line + line + line;
  EXPECT_EQ(parse_in_pieces(text + "250 " + std::string(2044, 'x') + "\r\n"),
            "[250:" + text + "250 " + std::string(2044, 'x') + "]");
  EXPECT_EQ(parse_in_pieces(text + line + "250\r\n"), "!the reply is too long");
}

TEST(ReplyParser, bounds_the_lines_of_a_reply) {
  std::string text;
  for (unsigned i = 1; i < ReplyParser::reply_lines_max; ++i) text += "250-\n";
  EXPECT_EQ(parse_in_pieces(text + "250 end\r\n"), "[250:" + text + "250 end]");
  EXPECT_EQ(parse_in_pieces(text + "250-\n250 end\r\n"), "!the reply has too many lines");
}

TEST(ReplyParser, holds_memory_only_for_a_reply_in_pieces_or_of_several_lines) {
  ReplyParser parser;
  Reply reply;
  const auto feed = [&](std::string_view octets) {
    auto step = parser.next(octets, reply);
    while (step == ReplyParser::Step::reply) step = parser.next(octets, reply);
  };
  feed("250 ok\r\n250 ok\r\n");
  EXPECT_FALSE(parser.holds_memory());
  feed("250 ok\r\n25");
  EXPECT_TRUE(parser.holds_memory());
  feed("0 ok\r\n");
  EXPECT_FALSE(parser.holds_memory());
  feed("250-a\r\n");
  EXPECT_TRUE(parser.holds_memory());
  feed("250 b\r\n");
  EXPECT_FALSE(parser.holds_memory());
}

TEST(Reply, reads_the_enhanced_code_of_its_first_line) {
  EXPECT_TRUE(is(enhanced("550 5.7.1 no"), 5, 7, 1));
  EXPECT_TRUE(is(enhanced("550-4.123.999\n550 5.1.1 x"), 4, 123, 999));
  EXPECT_TRUE(is(enhanced("250 2.0.0"), 2, 0, 0));
}

TEST(Reply, reads_no_enhanced_code_into_other_text) {
  for (const char* const text :
       {"250", "250 ", "250 2", "250 2.", "250 2.0", "250 2.0.", "250 3.0.0", "250 2.0.0x",
        "250 2.1234.0", "250 2.0.1234", "250 2.0.0.1", "250 22.0.0", "250 127.0.0.1 ok",
        "250 ok 2.0.0", "250 2..0"}) {
    EXPECT_FALSE(enhanced(text)) << text;
  }
}

}  // namespace
}  // namespace sluice::engine::smtp
