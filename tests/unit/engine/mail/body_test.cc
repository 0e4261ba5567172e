#include <gmock/gmock.h>

#include "engine/mail/base64.h"
#include "engine/mail/quoted_printable.h"
#include "merging.h"

namespace sluice::engine::mail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string from = "From: a@b.example\n";

Merging noted(std::string note) { return {.values = {"ann@a.example", "Ann", std::move(note)}}; }

// One part of the type, with a body.
std::string part(std::string_view type, std::string_view encoding, std::string_view body) {
  return from + "Content-Type: " + std::string(type) +
         "\nContent-Transfer-Encoding: " + std::string(encoding) + "\n\n" + std::string(body);
}

TEST(MailBody, plain_text_is_merged_as_it_is) {
  const auto wire = Merging{}.wire(from + "\nDear {{name}},\n{{note}}\n");
  EXPECT_THAT(wire, testing::EndsWith("\r\n\r\nDear Ann,\r\nhello\r\n"));
  EXPECT_THAT(wire, Not(HasSubstr("MIME-Version")));
}

TEST(MailBody, every_kind_of_line_end_becomes_crlf) {
  EXPECT_EQ(noted("a\nb\rc\r\nd\r").body(from + "\nx\r\ny\rz\n{{note}}."),
            "x\r\ny\r\nz\r\na\r\nb\r\nc\r\nd\r\n..\r\n");
}

TEST(MailBody, dots_are_stuffed_wherever_a_line_begins) {
  EXPECT_EQ(noted(".a\n.b").body(from + "\n.x\n{{note}}\n..y\n"), "..x\r\n..a\r\n..b\r\n...y\r\n");
  EXPECT_EQ(noted("").body(from + "\n{{note}}.\nx"), "..\r\nx\r\n");
  EXPECT_EQ(noted("").body(from + "\n{{note}}{{note}}.{{^note}}.{{/note}}"), "...\r\n");
  EXPECT_EQ(noted("a").body(from + "\n{{note}}.\n"), "a.\r\n");
}

TEST(MailBody, first_octet_may_be_a_dot) {
  EXPECT_EQ(Merging{}.body(from + "\n.\n{{name}}"), "..\r\nAnn\r\n");
  EXPECT_EQ(fault_of_wire(Merging{}.wire(".X: y\n" + from + "\n.\n")), "");
}

TEST(MailBody, html_is_escaped_unless_told_otherwise) {
  const auto list = noted("<b>\"T&C's\"");
  EXPECT_EQ(list.body(part("text/html", "7bit", "{{note}}|{{{note}}}|{{&note}}\n")),
            "&lt;b&gt;&quot;T&amp;C&#39;s&quot;|<b>\"T&C's\"|<b>\"T&C's\"\r\n");
  EXPECT_EQ(list.body(part("text/plain", "7bit", "{{note}}\n")), "<b>\"T&C's\"\r\n");
}

TEST(MailBody, sections_are_for_values_that_are_not_empty) {
  const std::string message =
      from +
      "\n{{#note}}\nnote: {{note}}\n{{/note}}\n{{^note}}\nnone\n{{/note}}\nend{{! a comment }}\n";
  EXPECT_EQ(noted("n").body(message), "note: n\r\nend\r\n");
  EXPECT_EQ(noted("").body(message), "none\r\nend\r\n");
}

TEST(MailBody, delimiters_may_be_set) {
  EXPECT_EQ(Merging{}.body(from + "\n{{=<% %>=}}\n<% name %> {{name}} <%{note}%>\n"),
            "Ann {{name}} hello\r\n");
}

TEST(MailBody, values_over_127_relabel_the_part) {
  const auto list = noted("\u00fc");
  const auto wire =
      list.wire(part("text/plain; charset=us-ascii; format=flowed", "7bit", "{{note}}\n"));
  EXPECT_THAT(wire, HasSubstr("\r\nMIME-Version: 1.0\r\n"));
  EXPECT_THAT(wire, HasSubstr("Content-Type: text/plain; format=flowed; charset=utf-8\r\n"));
  EXPECT_THAT(wire, HasSubstr("Content-Transfer-Encoding: 8bit\r\n"));
  EXPECT_THAT(wire, testing::EndsWith("\r\n\r\n\u00fc\r\n"));
}

TEST(MailBody, eightbit_reaches_the_multipart_around) {
  const auto wire = noted("\u00fc").wire(from +
                                         "MIME-Version: 1.0\nContent-Type: multipart/mixed; "
                                         "boundary=bbbbbbbbbbbb\nContent-Transfer-Encoding: "
                                         "7bit\n\n--bbbbbbbbbbbb\n\n{{note}}\n--bbbbbbbbbbbb--\n");
  EXPECT_THAT(wire, HasSubstr("boundary=bbbbbbbbbbbb\r\nContent-Transfer-Encoding: 8bit\r\n"));
  EXPECT_THAT(
      wire,
      HasSubstr(
          "--bbbbbbbbbbbb\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
          "8bit\r\n\r\n\u00fc\r\n--bbbbbbbbbbbb--"));
}

TEST(MailBody, text_that_nothing_labels_is_called_utf8) {
  const auto wire = Merging{}.wire(from + "\nGr\u00fc\u00dfe\n");
  EXPECT_THAT(wire, HasSubstr("charset=utf-8"));
  EXPECT_THAT(wire, HasSubstr("8bit"));
}

TEST(MailBody, other_charsets_are_recoded_where_there_are_tags) {
  const auto list = noted("\u20ac");
  const auto wire = list.wire(part("text/plain; charset=iso-8859-1", "8bit",
                                   "Gr\xfc\xdf"
                                   "e {{note}}\n"));
  EXPECT_THAT(wire, HasSubstr("charset=utf-8"));
  EXPECT_THAT(wire, HasSubstr("Gr\u00fc\u00dfe \u20ac\r\n"));
  EXPECT_THAT(list.wire(part("text/plain; charset=iso-8859-1", "8bit",
                             "Gr\xfc\xdf"
                             "e\n")),
              HasSubstr("Gr\xfc\xdf"
                        "e\r\n"));
  EXPECT_THAT(list.errors(part("text/plain; charset=klingon", "8bit", "{{note}}\n")),
              ElementsAre(HasSubstr("charset klingon")));
}

TEST(MailBody, quoted_printable_is_decoded_before_tags_are_looked_for) {
  const auto list = noted("a=b \u00fc\n.x \n-y");
  const auto body = list.body(part("text/plain; charset=utf-8", "quoted-printable",
                                   "K=C3=B6ln {{na=\nme}} =7B=7Bnote=7D=7D.\n"));
  EXPECT_EQ(body, "K=C3=B6ln =\r\nAnn=\r\n =\r\na=3Db =C3=BC\r\n=2Ex=20\r\n=2Dy=\r\n=2E\r\n");
  EXPECT_EQ(decode_quoted_printable(body).text, "K\u00f6ln Ann a=b \u00fc\r\n.x \r\n-y.\r\n");
}

TEST(MailBody, long_values_in_quoted_printable_are_folded) {
  std::string value;
  for (int i = 0; i < 300; ++i) value += "\u00fc.&<- ";
  const auto body = noted(value).body(
      part("text/html; charset=utf-8", "quoted-printable", "{{{note}}}{{note}}\n"));
  std::string escaped;
  for (int i = 0; i < 300; ++i) escaped += "\u00fc.&amp;&lt;- ";
  EXPECT_EQ(decode_quoted_printable(body).text, value + escaped + "\r\n");
  EXPECT_EQ(fault_of_wire(body), "");
  for (size_t at = 0; at < body.size(); at = body.find("\r\n", at) + 2)
    EXPECT_LE(body.find("\r\n", at) - at, 76U);
}

TEST(MailBody, base64_is_decoded_before_tags_are_looked_for) {
  const auto code = encode_base64_lines("Dear {{name}},\r\n{{note}}\r\n");
  const auto wire = noted("x=y").wire(part("text/plain", "base64", code));
  EXPECT_THAT(wire, HasSubstr("Content-Transfer-Encoding: quoted-printable\r\n"));
  EXPECT_THAT(wire, testing::EndsWith("Dear =\r\nAnn=\r\n,\r\nx=3Dy=\r\n\r\n"));
}

TEST(MailBody, base64_without_tags_stays) {
  const auto code = encode_base64_lines("Dear friend");
  EXPECT_EQ(Merging{}.body(part("text/plain", "base64", code)), code);
}

TEST(MailBody, mistakes_in_encoded_parts_are_told_with_their_lines) {
  const auto code =
      encode_base64_lines(std::string(57, 'x') + "\n" + std::string(60, 'y') + "{{nope}}");
  EXPECT_THAT(Merging{}.errors(part("text/plain", "base64", code)),
              ElementsAre(HasSubstr("m.eml:7: tag {{nope}}")));
  EXPECT_THAT(Merging{}.errors(part("text/plain", "quoted-printable", "a=\nb=0Ac\n{{nope}}\n")),
              ElementsAre(HasSubstr("m.eml:7: tag {{nope}}")));
  EXPECT_THAT(Merging{}.errors(from + "\na\n\n{{nope}}\n{{#name}}\n"),
              ElementsAre(HasSubstr("m.eml:5: tag {{nope}}"),
                          HasSubstr("m.eml:6: section {{#name}} is not closed")));
}

TEST(MailBody, lines_that_could_get_too_long_become_quoted_printable) {
  const auto list = noted(std::string(600, 'v'));
  EXPECT_THAT(list.wire(from + "\n{{note}}\n" + std::string(900, 'x') + "\n"),
              Not(HasSubstr("quoted-printable")));
  const auto wire = list.wire(from + "\n{{note}}" + std::string(500, 'x') + "\n");
  EXPECT_THAT(wire, HasSubstr("quoted-printable"));
  EXPECT_EQ(fault_of_wire(wire), "");
}

TEST(MailBody, long_lines_without_tags_are_mended) {
  const std::string line(1200, 'x');
  EXPECT_EQ(decode_quoted_printable(Merging{}.body(from + "\n" + line + "\n")).text, line + "\r\n");
  EXPECT_EQ(decode_base64(Merging{}.body(part("application/json", "7bit", line))), line);
  EXPECT_EQ(decode_base64(Merging{}.body(part("image/png", "base64", std::string(1200, 'A')))),
            std::string(900, '\0'));
  EXPECT_THAT(Merging{}.errors(part("message/rfc822", "7bit", line)),
              ElementsAre(HasSubstr("a line of 1200 octets within an attached message")));
}

TEST(MailBody, without_statistics_anything_may_come) {
  Merging list = noted("\u00fc" + std::string(3000, 'x'));
  list.has_statistics = false;
  EXPECT_EQ(fault_of_wire(list.wire(from + "\n{{note}}\n")), "");
}

const std::string mixed = from + R"(MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble {{untouched}}
--outer
Content-Type: multipart/alternative; boundary=outer-inner

--outer-inner
Content-Type: text/plain

plain {{name}}
--outer-inner
Content-Type: text/html

<b>{{note}}</b>
--outer-inner--
--outer
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

e3tuYW1lfX0=
--outer
Content-Type: message/rfc822

From: x@y.example

{{name}}
--outer--
epilogue
)";

TEST(MailBody, a_tree_keeps_all_that_is_no_text) {
  auto expected = mixed.substr(mixed.find("\n\n") + 2);
  const auto replace = [&](std::string_view what, std::string_view with) {
    expected.replace(expected.find(what), what.size(), with);
  };
  replace("plain {{name}}", "plain Ann");
  replace("{{note}}", "a&amp;b");
  for (size_t at = 0; (at = expected.find('\n', at)) != expected.npos; at += 2)
    expected.replace(at, 1, "\r\n");
  EXPECT_EQ(noted("a&b").body(mixed), expected);
}

TEST(MailBody, missing_last_boundary_is_tolerated) {
  const auto cut = mixed.substr(0, mixed.find("--outer--"));
  EXPECT_THAT(Merging{}.wire(cut), HasSubstr("plain Ann\r\n"));
}

TEST(MailBody, value_that_spells_a_boundary_begins_no_part) {
  for (const std::string value : {"--outer--", "x\n--outer\nContent-Type: text/html\n\nevil"}) {
    const std::string message =
        from + "Content-Type: multipart/mixed; boundary=outer\n\n--outer\n\n{{note}}\n--outer--\n";
    const auto body = noted(value).body(message);
    EXPECT_THAT(body, HasSubstr("=2D-outer"));
    EXPECT_EQ(body.find("--outer", 3), body.rfind("--outer--")) << body;
  }
}

TEST(MailBody, broken_mime_is_told) {
  EXPECT_THAT(Merging{}.errors(from + "Content-Type: multipart/mixed\n\nx\n"),
              ElementsAre("m.eml:2: multipart/mixed without a boundary"));
  EXPECT_THAT(Merging{}.errors(from + "Content-Type: multipart/mixed; boundary=b\n\nx\n"),
              ElementsAre("m.eml:2: boundary \"b\" of multipart/mixed begins no part"));
  EXPECT_THAT(
      Merging{}.errors(from +
                       "Content-Type: multipart/mixed; boundary=b\n\n--b\nno header\n\nx\n--b--\n"),
      ElementsAre(HasSubstr("m.eml:5: \"no header\" is no header line")));
}

TEST(MailBody, nothing_under_a_signature_changes) {
  const auto message = [](std::string_view text) {
    return from +
           "Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain\n\n" +
           std::string(text) + "\n--b\nContent-Type: application/pgp-signature\n\nsig\n--b--\n";
  };
  EXPECT_THAT(Merging{}.body(message("Gr\u00fc\u00dfe \n.x")),
              HasSubstr("\r\n\r\nGr\u00fc\u00dfe \r\n..x\r\n--b"));
  EXPECT_THAT(Merging{}.errors(message("{{name}}")),
              ElementsAre(HasSubstr("no tags in multipart/signed")));
}

}  // namespace
}  // namespace sluice::engine::mail
