#include <gtest/gtest.h>

#include "engine/mail/base64.h"
#include "engine/mail/charset.h"
#include "engine/mail/encoded_word.h"
#include "engine/mail/header_field.h"
#include "engine/mail/mustache.h"
#include "engine/mail/quoted_printable.h"
#include "engine/recipient.h"

namespace sluice::engine::mail {
namespace {

TEST(Base64, vectors_of_rfc_4648) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [octets, code] : vectors) {
    std::string out;
    append_base64(out, octets);
    EXPECT_EQ(out, code);
    EXPECT_EQ(decode_base64(code), octets);
    EXPECT_EQ(base64_bytes(octets.size()), code.size());
  }
}

TEST(Base64, lines_hold_76_octets_and_end_in_crlf) {
  const std::string octets(100, '\xff');
  const auto code = encode_base64_lines(octets);
  EXPECT_EQ(code.find("\r\n"), 76U);
  EXPECT_TRUE(code.ends_with("\r\n"));
  EXPECT_EQ(decode_base64(code), octets);
}

TEST(Base64, what_is_no_code_is_skipped) { EXPECT_EQ(decode_base64("Zm 9v\r\n!Zg==Zg"), "fooff"); }

TEST(QuotedPrintable, decoding_is_lenient) {
  EXPECT_EQ(decode_quoted_printable("a=3Db=zz=\r\nc \t\r\n=c3=A4=").text, "a=b=zzc\r\n\u00e4");
}

TEST(QuotedPrintable, text_survives_a_round) {
  const std::string text =
      ".dot\r\nFrom me \r\ntab\t\r\n=\u00fc" + std::string(200, 'x') + ".\r\n end ";
  for (const bool last : {false, true}) {
    const auto code = encode_quoted_printable(text, last);
    EXPECT_EQ(decode_quoted_printable(code).text, text);
    EXPECT_EQ(code.find("\n."), code.npos);
    EXPECT_NE(code.front(), '.');
    EXPECT_EQ(code.ends_with("=\r\n"), !last);
  }
}

TEST(EncodedWord, examples_of_rfc_2047_section_8) {
  EXPECT_EQ(decode_encoded_words("=?ISO-8859-1?Q?a?=", false), "a");
  EXPECT_EQ(decode_encoded_words("=?ISO-8859-1?Q?a?= b", false), "a b");
  EXPECT_EQ(decode_encoded_words("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", false), "ab");
  EXPECT_EQ(decode_encoded_words("=?ISO-8859-1?Q?a_b?= x", false), "a b x");
  EXPECT_EQ(decode_encoded_words("=?iso-8859-1?q?J=F6rg?=", false), "J\u00f6rg");
}

TEST(EncodedWord, what_is_none_stays) {
  for (const std::string text :
       {"=?", "=?utf-8?q?x", "=?nowhere?q?x?= y", "=?utf-8?x?y?=", "a =? b ?= c"}) {
    EXPECT_EQ(decode_encoded_words(text, false), text);
  }
  EXPECT_EQ(decode_encoded_words("\"=?utf-8?q?x?=\"", true), "\"=?utf-8?q?x?=\"");
}

TEST(EncodedWord, decoded_syntax_is_quoted) {
  EXPECT_EQ(decode_encoded_words("=?utf-8?q?a,_=22b=22?= <c@d>", true), "\"a, \\\"b\\\"\" <c@d>");
}

TEST(EncodedWord, any_text_survives_a_round) {
  const std::string texts[] = {
      "\u00fc", "plain words too",
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac"
      "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac",
      "a=b_c?d\"", std::string(200, 'q') + "\u00fc"};
  for (const auto& text : texts) {
    for (const size_t start : {size_t{0}, size_t{60}, size_t{75}}) {
      std::string out(start, 'x');
      size_t column = start;
      encode_words(out, column, " ", text, EncodedWordPlace::phrase);
      EXPECT_EQ(column, out.size() - (out.rfind('\n') == out.npos ? 0 : out.rfind('\n') + 1));
      EXPECT_EQ(decode_encoded_words(unfold(std::string_view(out).substr(start)), false), text);
    }
  }
}

TEST(Charset, octets_become_utf8) {
  EXPECT_EQ(to_utf8("ISO-8859-1", "\xe4"), "\u00e4");
  EXPECT_EQ(to_utf8("iso-8859-1", "\x80"), "\u20ac");  // as readers take it
  EXPECT_EQ(to_utf8("iso-2022-jp", "\x1b$B$\"\x1b(B"), "\u3042");
  EXPECT_EQ(to_utf8("koi8-r", std::string(5000, '\xc1')).value().size(), 10000U);
  EXPECT_FALSE(to_utf8("klingon", "x"));
  EXPECT_FALSE(to_utf8("shift_jis", "\x81"));
}

TEST(Charset, utf8_is_told_from_what_only_looks_like_it) {
  for (const char* text : {"", "a", "\u00fc\u20ac\U0001f600"}) EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text : {"\xfc", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\x80"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

TEST(Mustache, tags_are_cut_out) {
  const auto scanned = scan_mustache("a{{ b }}{{{c}}}{{&d}}{{!e}}{{#f}}g{{/f}}{{^h}}{{/h}}", false);
  std::string shape;
  for (const auto& token : scanned.tokens) {
    shape += "tv#^/"[static_cast<int>(token.kind)];
    shape += token.is_escaped ? "" : "!";
    shape += token.text;
  }
  EXPECT_EQ(shape, "tavbv!cv!d#ftg/f^h/h");
  EXPECT_TRUE(scanned.errors.empty());
}

TEST(Mustache, mistakes_are_found) {
  for (const char* text : {"{{a", "{{a\r\n}}", "{{a {{b}}", "{{}}", "{{#a}}", "{{/a}}",
                           "{{#a}}{{#b}}{{/a}}{{/b}}", "{{>a}}", "{{=<%=}}", "{{{a}}"}) {
    EXPECT_FALSE(scan_mustache(text, true).errors.empty()) << text;
  }
}

TEST(HeaderField, parameters_are_read_as_rfc_2045_says) {
  const auto type = parse_parameterized(
      " Text/PLAIN (hello; x=y); charset=\"utf-8\"; name=\"a;\\\"b\" ;format=flowed");
  EXPECT_EQ(type.value, "text/plain");
  EXPECT_EQ(type.parameter("charset"), "utf-8");
  EXPECT_EQ(type.parameter("name"), "a;\"b");
  EXPECT_EQ(type.parameter("format"), "flowed");
  EXPECT_EQ(type.parameter("x"), "");
}

TEST(Recipient, survives_a_round_and_refuses_damage) {
  Recipient r;
  r.flags = Recipient::is_plain;
  r.address = "ann@a.example";
  const std::string long_value(300, 'x');
  r.fields = {"", "b", long_value};
  std::string entry;
  r.encode(entry);
  EXPECT_EQ(entry.size(), 1 + 1 + 13 + 1 + 2 + 2 + 300U);
  const auto bytes = std::as_bytes(std::span(entry));
  Recipient again;
  ASSERT_TRUE(again.decode(bytes, 3));
  EXPECT_EQ(again.flags, r.flags);
  EXPECT_EQ(again.address, r.address);
  EXPECT_EQ(again.fields, r.fields);
  EXPECT_FALSE(again.decode(bytes, 2));
  EXPECT_FALSE(again.decode(bytes, 4));
  for (size_t at = 0; at < bytes.size(); ++at) EXPECT_FALSE(again.decode(bytes.first(at), 3));
}

}  // namespace
}  // namespace sluice::engine::mail
