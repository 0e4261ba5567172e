#include "engine/report/json_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "engine/report/utf8.h"

namespace sluice::engine::report {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonWriter, keeps_plain_text_and_utf8) {
  EXPECT_EQ(json(""), "\"\"");
  EXPECT_EQ(json("250 2.0.0 Ok"), "\"250 2.0.0 Ok\"");
  EXPECT_EQ(json("Grüße, 世界 🌍"), "\"Grüße, 世界 🌍\"");
}

TEST(JsonWriter, escapes_what_json_and_terminals_take_for_a_command) {
  EXPECT_EQ(json("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
  EXPECT_EQ(json("\x1b[2J\x7f"), R"("\u001b[2J\u007f")");
  EXPECT_EQ(json(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(json("\xc2\x9b"
                 "2J"),
            R"("\u009b2J")")
      << "C1: CSI in one character";
}

TEST(JsonWriter, makes_each_octet_that_is_no_utf8_a_replacement_character) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(json("J\xf6rg"), "\"J" + r + "rg\"");
  EXPECT_EQ(json("\xc0\xaf"), "\"" + r + r + "\"") << "overlong";
  EXPECT_EQ(json("\xed\xa0\x80"), "\"" + r + r + r + "\"") << "surrogate";
  EXPECT_EQ(json("\xf5\x80\x80\x80"), "\"" + r + r + r + r + "\"") << "beyond Unicode";
  EXPECT_EQ(json("\xe4\xb8"), "\"" + r + r + "\"") << "cut off";
}

TEST(JsonWriter, any_octets_give_valid_json_without_controls) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round) {
    std::string octets(random() % 40, '\0');
    // Half of them near what decoders stumble over.
    for (char& c : octets)
      c = static_cast<char>(random() % 2 ? random()
                                         : "\xc2\xe0\xed\xf0\xf4\x80\xbf\x1b\"\\a"[random() % 11]);
    const std::string text = json(octets);
    ASSERT_TRUE(nlohmann::json::accept(text)) << text;
    for (std::string_view rest = text; !rest.empty();) {
      const Utf8Character character = read_utf8(rest);
      ASSERT_TRUE(character.is_valid && !is_control(character.code)) << text;
      rest.remove_prefix(character.bytes);
    }
  }
}

TEST(JsonWriter, what_is_valid_comes_back_unchanged) {
  std::string all;
  for (char c = 1; c < 127; ++c) all += c;
  all += "äöü€🌍\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
  EXPECT_EQ(nlohmann::json::parse(json(all)).get<std::string>(), all);
}

TEST(JsonObject, puts_commas_between_members) {
  std::string out;
  JsonObject object(out);
  object.string("a", "x");
  object.number("b", UINT64_MAX);
  object.begin("c") += "null";
  object.end();
  EXPECT_EQ(out, R"({"a":"x","b":18446744073709551615,"c":null})");
}

}  // namespace
}  // namespace sluice::engine::report
