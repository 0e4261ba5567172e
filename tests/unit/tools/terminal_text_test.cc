#include "tools/terminal_text.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/report/utf8.h"

namespace sluice::tools {
namespace {

TEST(TerminalText, shows_controls_instead_of_obeying_them) {
  EXPECT_EQ(terminal_text("a\x1b[2Jb\x07"), "a\\x1b[2Jb\\x07");
  EXPECT_EQ(terminal_text("\xc2\x9b"), "\\x9b");
  EXPECT_EQ(terminal_text("J\xf6rg"), "J\\xf6rg");
  EXPECT_EQ(terminal_text("txt.\u202eexe"), "txt.\\u202eexe");
}

TEST(TerminalText, keeps_text_and_makes_lines_one) {
  EXPECT_EQ(terminal_text("Grüße 世界"), "Grüße 世界");
  EXPECT_EQ(terminal_text("first\r\nsecond\nthird\n"), "first / second / third");
}

TEST(TerminalText, no_octets_whatever_reach_a_terminal_as_controls) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 10000; ++round) {
    std::string octets(random() % 30, '\0');
    for (char& c : octets) c = static_cast<char>(random());
    const std::string text = terminal_text(octets);
    for (std::string_view rest = text; !rest.empty();) {
      const auto character = engine::report::read_utf8(rest);
      ASSERT_TRUE(character.is_valid && !engine::report::is_control(character.code));
      rest.remove_prefix(character.bytes);
    }
  }
}

TEST(Fitted, takes_exactly_the_columns_asked_for) {
  EXPECT_EQ(fitted("abc", 5), "abc  ");
  EXPECT_EQ(fitted("abcde", 5), "abcde");
  EXPECT_EQ(fitted("abcdef", 5), "abcd…");
  EXPECT_EQ(fitted("世界世界", 5), "世界…");
  EXPECT_EQ(fitted("世界世界", 4), "世… ") << "a wide character is not cut in half";
  EXPECT_EQ(fitted("e\u0301e\u0301", 2), "e\u0301e\u0301");
}

}  // namespace
}  // namespace sluice::tools
