#include <gmock/gmock.h>

#include "merging.h"

namespace sluice::engine::mail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Merging named(std::string name) { return {.values = {"ann@a.example", std::move(name), "hello"}}; }

TEST(MailHeader, ascii_values_stay_raw_in_subject) {
  EXPECT_EQ(named("Name, 1").subject("Hello {{name}}!"), " Hello Name, 1!");
}

TEST(MailHeader, words_with_other_characters_are_encoded_whole) {
  EXPECT_EQ(named("J\u00f6rg").subject("Hello {{name}}!"), " Hello =?utf-8?B?SsO2cmch?=");
}

TEST(MailHeader, blank_between_two_encoded_words_is_encoded) {
  const Merging list{.values = {"ann@a.example", "\u00c4nn", "\u00d6\u00df"}};
  // "Änn Öß" as one word; apart, readers would drop the blank.
  EXPECT_EQ(list.subject("{{name}} {{note}}"), " =?utf-8?B?w4RubiDDlsOf?=");
}

TEST(MailHeader, q_is_chosen_where_shorter) {
  EXPECT_EQ(named("Sch\u00f6nerhausen").subject("{{name}}"), " =?utf-8?Q?Sch=C3=B6nerhausen?=");
}

TEST(MailHeader, long_encoded_text_is_cut_between_characters) {
  std::string name;
  for (int i = 0; i < 60; ++i) name += "\u20ac";
  const auto subject = named(name).subject("{{name}}");
  EXPECT_THAT(subject, HasSubstr("?=\r\n =?utf-8?B?"));
  for (size_t at = 0, end; at < subject.size(); at = end == subject.npos ? end : end + 2) {
    end = subject.find("\r\n", at);
    EXPECT_LE(std::min(end, subject.size()) - at, 76U);
  }
}

TEST(MailHeader, text_that_looks_encoded_is_encoded) {
  EXPECT_EQ(named("=?utf-8?q?x?=").subject("{{name}}"), " =?utf-8?B?PT91dGYtOD9xP3g/PQ==?=");
}

TEST(MailHeader, long_subject_is_folded_at_blanks) {
  std::string name;
  for (int i = 0; i < 30; ++i) name += "word ";
  EXPECT_THAT(named(name).subject("{{name}}"), HasSubstr("word\r\n word"));
}

TEST(MailHeader, tags_within_encoded_words_are_found) {
  EXPECT_EQ(named("Ann").subject("=?utf-8?Q?F=C3=BCr_=7B=7Bname=7D=7D?="),
            " =?utf-8?Q?F=C3=BCr?= Ann");
  EXPECT_EQ(named("Ann").to("=?utf-8?Q?Frau,_{{name}}?= <{{email}}>"),
            " \"Frau, Ann\" <ann@a.example>");
}

TEST(MailHeader, name_with_specials_is_quoted) {
  EXPECT_EQ(named("Name, 1").to("{{name}} <{{email}}>"), " \"Name, 1\" <ann@a.example>");
  EXPECT_EQ(named("Ann").to("{{name}} <{{email}}>"), " Ann <ann@a.example>");
  EXPECT_EQ(named("A \"B\" \\C").to("{{name}} <{{email}}>"),
            " \"A \\\"B\\\" \\\\C\" <ann@a.example>");
}

TEST(MailHeader, name_within_quotes_cannot_leave_them) {
  EXPECT_EQ(named("x\" <evil@e.example>, \"").to("\"{{name}} at home\" <{{email}}>"),
            " \"x\\\" <evil@e.example>, \\\" at home\" <ann@a.example>");
}

TEST(MailHeader, name_of_other_characters_is_encoded) {
  EXPECT_EQ(named("J\u00f6rg, M.").to("\"{{name}}\" <{{email}}>"),
            " =?utf-8?B?SsO2cmcsIE0u?= <ann@a.example>");
}

TEST(MailHeader, empty_name_leaves_the_address) {
  EXPECT_EQ(named("").to("{{name}} <{{email}}>"), " <ann@a.example>");
}

TEST(MailHeader, section_may_hold_a_name_or_an_address) {
  EXPECT_EQ(named("").to("{{#name}}\"{{name}}\" {{/name}}<{{email}}>"), " <ann@a.example>");
  EXPECT_EQ(named("Ann").to("{{#name}}\"{{name}}\" {{/name}}<{{email}}>"), " Ann <ann@a.example>");
  EXPECT_EQ(named("").to("{{#name}}{{name}} <{{email}}>{{/name}}{{^name}}{{email}}{{/name}}"),
            " ann@a.example");
  EXPECT_EQ(named("Ann").to("{{#name}}{{name}} <{{email}}>{{/name}}{{^name}}{{email}}{{/name}}"),
            " Ann <ann@a.example>");
}

TEST(MailHeader, address_list_without_an_address_is_left_out) {
  const std::string message = "From: a@b.example\nCc: {{name}}\nTo: x@y.example, {{name}}\n\nx\n";
  EXPECT_EQ(named("").header(message, "Cc"), "-");
  EXPECT_EQ(named("").header(message, "To"), " x@y.example");
  EXPECT_EQ(named("b@c.example").header(message, "To"), " x@y.example, b@c.example");
}

TEST(MailHeader, value_as_an_address_cannot_add_another) {
  EXPECT_EQ(named("a@x.example>, evil@e.example").to("<{{name}}>"), " <a@x.exampleevil@e.example>");
  EXPECT_EQ(named("Help, Desk <help@x.example>").to("{{name}}"),
            " \"Help, Desk\" <help@x.example>");
}

TEST(MailHeader, line_ends_in_values_never_make_a_header) {
  const auto list = named("Ann\r\nBcc: x@y.example");
  EXPECT_EQ(list.subject("Hi {{name}}"), " Hi AnnBcc: x@y.example");
  EXPECT_EQ(list.to("{{name}} <{{email}}>"), " \"AnnBcc: x@y.example\" <ann@a.example>");
}

TEST(MailHeader, newline_is_forbidden_where_a_header_takes_it) {
  Merging list;
  list.sender = "b+{{note}}@news.example";
  const auto t = list.compiled("From: a@b.example\nSubject: {{#note}}x{{/note}}\n\n{{name}}\n");
  EXPECT_FALSE(t.forbids_newline(0));  // name: in the body only
  EXPECT_TRUE(t.forbids_newline(1));   // note: in the sender
  EXPECT_TRUE(list.compiled("From: {{name}} <a@b.example>\n\n").forbids_newline(0));
}

TEST(MailHeader, list_urls_are_percent_encoded) {
  const auto list = named("a b&c\u00f6");
  const std::string message =
      "From: a@b.example\nList-Unsubscribe: <https://x.example/?n={{name}}>, <{{note}}>\n\n";
  Merging whole = list;
  whole.values[2] = "mailto:u@x.example?subject=a b>";
  EXPECT_EQ(whole.header(message, "List-Unsubscribe"),
            " <https://x.example/?n=a%20b%26c%C3%B6>,\r\n <mailto:u@x.example?subject=a%20b%3E>");
}

TEST(MailHeader, unsubscribe_pair_is_added_for_https) {
  Merging list;
  list.unsubscribe_url = "https://u.example/{{email}}";
  const std::string message = "From: a@b.example\n\nx\n";
  EXPECT_EQ(list.header(message, "List-Unsubscribe"), " <https://u.example/ann%40a.example>");
  EXPECT_EQ(list.header(message, "List-Unsubscribe-Post"), " List-Unsubscribe=One-Click");
  list.unsubscribe_url = "mailto:u@u.example";
  EXPECT_EQ(list.header(message, "List-Unsubscribe-Post"), "-");
  EXPECT_EQ(list.header("From: a@b.example\nList-Unsubscribe: <mailto:mine@u.example>\n\n",
                        "List-Unsubscribe"),
            " <mailto:mine@u.example>");
}

TEST(MailHeader, missing_headers_are_added) {
  const std::string message = "From: a@b.example\n\nx\n";
  EXPECT_EQ(Merging{}.header(message, "Date"), " Sat, 22 Nov 2025 05:40:00 +0000");
  EXPECT_EQ(Merging{}.header(message, "Message-ID"), " <0000000000000abc.7@news.example>");
  EXPECT_EQ(Merging{}.header(message, "To"), " <ann@a.example>");
  EXPECT_EQ(Merging{}.header(message, "MIME-Version"), "-");
}

TEST(MailHeader, literal_message_id_is_replaced_and_one_with_a_tag_kept) {
  EXPECT_EQ(Merging{}.header("Message-ID: <1@x>\nFrom: a@b.example\n\n", "Message-ID"),
            " <0000000000000abc.7@news.example>");
  EXPECT_EQ(named("a b@c").header("Message-ID: <{{name}}.1@x.example>\nFrom: a@b.example\n\n",
                                  "Message-ID"),
            " <a=20b=40c.1@x.example>");
}

/// What nothing else makes personal, its Message-ID does not either.
TEST(MailHeader, literal_message_id_stays_in_a_message_that_is_the_same_for_all) {
  const std::string head = "Message-ID: <1@x>\nFrom: a@b.example\n", to = "To: readers:;\n";
  EXPECT_EQ(Merging{}.header(head + to + "\nbody\n", "Message-ID"), " <1@x>");
  const auto t = Merging{}.compiled(head + to + "\nbody\n");
  EXPECT_FALSE(t.is_personal());
  const auto r = Merging{}.recipient();
  Merge merge;
  merge.begin(t, r, 3);
  std::string text;
  merge.message_id(text);
  EXPECT_EQ(text, "<1@x>");
  const auto encoded = t.encode();
  EXPECT_FALSE(Template::decode(std::as_bytes(std::span(encoded)))->is_personal());

  const std::string replaced = " <0000000000000abc.7@news.example>";
  EXPECT_EQ(Merging{}.header(head + to + "\n{{name}}\n", "Message-ID"), replaced);
  EXPECT_EQ(Merging{}.header(head + to + "Subject: {{#name}}x{{/name}}\n\n", "Message-ID"),
            replaced);
  Merging verp;
  verp.sender = "b+{{id}}@news.example";
  verp.columns.push_back("id");
  verp.values.push_back("1");
  EXPECT_EQ(verp.header(head + to + "\nbody\n", "Message-ID"), replaced);
  Merging unsubscribe;
  unsubscribe.unsubscribe_url = "https://u.example/{{email}}";
  EXPECT_EQ(unsubscribe.header(head + to + "\nbody\n", "Message-ID"), replaced);
  unsubscribe.unsubscribe_url = "https://u.example/";
  EXPECT_EQ(unsubscribe.header(head + to + "\nbody\n", "Message-ID"), " <1@x>");
}

TEST(MailHeader, message_id_that_is_none_is_replaced_in_any_message) {
  const std::string tail = "\nFrom: a@b.example\nTo: readers:;\n\nbody\n";
  for (const std::string id : {"", "1@x", "<1>", "<a b@x>", "<\xc3\xa9@x>"}) {
    EXPECT_EQ(Merging{}.header("Message-ID: " + id + tail, "Message-ID"),
              " <0000000000000abc.7@news.example>")
        << id;
  }
}

TEST(MailHeader, message_id_and_sender_are_told) {
  Merging list = named("a.b..c=d@e");
  list.sender = "bounce+{{name}}@news.example";
  const auto t = list.compiled("From: a@b.example\nMessage-ID: <{{note}}@x.example>\n\n");
  const auto r = list.recipient();
  Merge merge;
  merge.begin(t, r, 3);
  std::string text = "old";
  merge.message_id(text);
  EXPECT_EQ(text, "<hello@x.example>");
  merge.sender(text);
  EXPECT_EQ(text, "bounce+a.b=2E=2Ec=3Dd=40e@news.example");
}

TEST(MailHeader, bcc_and_return_path_are_dropped) {
  const std::string message =
      "Return-Path: <x@y.example>\nFrom: a@b.example\nBcc: secret@y.example\nDate: today\n\n";
  EXPECT_EQ(Merging{}.header(message, "Bcc"), "-");
  EXPECT_EQ(Merging{}.header(message, "Return-Path"), "-");
  EXPECT_EQ(Merging{}.header(message, "Date"), " today");
}

TEST(MailHeader, octets_over_127_in_the_message_are_encoded) {
  const std::string message =
      "From: J\u00f6rg <a@b.example>\nSubject: Gr\u00fc\u00dfe\nContent-Type: text/plain; "
      "name=\"\u00fc.txt\"\n\n";
  EXPECT_EQ(Merging{}.header(message, "From"), " =?utf-8?B?SsO2cmc=?= <a@b.example>");
  EXPECT_EQ(Merging{}.header(message, "Subject"), " =?utf-8?B?R3LDvMOfZQ==?=");
  EXPECT_EQ(Merging{}.header(message, "Content-Type"), " text/plain; name*=utf-8''%C3%BC.txt");
  EXPECT_FALSE(Merging{}.compiled(message).has_8bit_literals());
}

TEST(MailHeader, lines_over_998_are_folded) {
  std::string references;
  for (int i = 0; i < 40; ++i)
    references += " <" + std::string(30, 'a') + std::to_string(i) + "@x.example>";
  EXPECT_EQ(fault_of_wire(Merging{}.wire("From: a@b.example\nReferences:" + references +
                                         "\nX-Long: " + std::string(3000, 'y') + "\n\n")),
            "");
}

TEST(MailHeader, needs_smtputf8_where_an_address_has_other_characters) {
  Merging list = named("j\u00f6@x.example");
  const auto t = list.compiled("From: a@b.example\nReply-To: <{{name}}>\n\n");
  const auto u = list.compiled("From: a@b.example\nSubject: {{name}}\n\n{{name}}\n");
  const auto r = list.recipient();
  Merge merge;
  merge.begin(t, r, 0);
  EXPECT_TRUE(merge.needs_smtputf8());
  EXPECT_FALSE(merge.needs_8bitmime());
  merge.begin(u, r, 0);
  EXPECT_FALSE(merge.needs_smtputf8());
  EXPECT_TRUE(merge.needs_8bitmime());
}

TEST(MailHeader, mistakes_are_told_with_their_lines) {
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nTo: {{email}}\nSubject: {{nmae}}\n\nx\n"),
              ElementsAre("m.eml:3: tag {{nmae}} has no column (did you mean {{name}}?); columns "
                          "are email, name, note"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nSubject: {{name\n\nx\n"),
              ElementsAre("m.eml:2: tag {{name is not closed with }}"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nSubject: a\n b {{zzzzz}}\n\n"),
              ElementsAre(StartsWith("m.eml:3: tag {{zzzzz}} has no column; columns")));
  EXPECT_THAT(Merging{}.errors("Subject: x\n\n"),
              ElementsAre("m.eml:1: no From header; write From: Name <address>"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nSubject: 1\nsubject: 2\n\n"),
              ElementsAre("m.eml:3: a second Subject header; the first is on line 2"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nX-{{name}}: 2\n\n"),
              ElementsAre("m.eml:2: no tags in a header's name"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nContent-Type: text/plain; name={{name}}\n\n"),
              ElementsAre("m.eml:2: no tags in Content-Type"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nSubject: {{#name}}x\n\n"),
              ElementsAre("m.eml:2: section {{#name}} is not closed"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nTo: {{>p}}\n\n"),
              ElementsAre("m.eml:2: partial {{>p}}: there are no partials here"));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nTo: {{name}} <{{#note}}{{email}}>{{/note}}\n\n"),
              ElementsAre(HasSubstr("m.eml:2: To: a section")));
}

TEST(MailHeader, mistakes_of_sender_and_unsubscribe_url_are_told) {
  Merging list;
  list.sender = "b+{{idd}}@x.example";
  list.unsubscribe_url = "https://u.example/{{id";
  EXPECT_THAT(
      list.errors("From: a@b.example\n\n"),
      testing::UnorderedElementsAre(HasSubstr("sender b+{{idd}}@x.example: tag {{idd}}"),
                                    HasSubstr("unsubscribe URL https://u.example/{{id: tag {{id")));
}

TEST(MailHeader, a_message_without_a_header_is_refused) {
  EXPECT_THAT(Merging{}.errors(""), ElementsAre("m.eml:1: the message is empty"));
  EXPECT_THAT(Merging{}.errors("Dear friends,\n\nhello\n"),
              ElementsAre(StartsWith("m.eml:1: the message does not begin with a header")));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nDear friends,\n"),
              ElementsAre(StartsWith("m.eml:2: \"Dear friends,\" is no header line")));
  EXPECT_THAT(Merging{}.errors("From: a@b.example\nSubject: x\n"),
              ElementsAre("m.eml:3: no empty line between header and body"));
  EXPECT_THAT(Merging{}.errors(std::string("From: a@b.example\n\nx\n\0\n", 23)),
              ElementsAre("m.eml:4: a NUL octet; no mail can carry it"));
}

TEST(MailHeader, a_message_over_the_limit_is_refused) {
  std::string message = "From: a@b.example\n\n";
  message.resize(60 * 1024 * 1024, 'x');
  EXPECT_THAT(Merging{}.errors(message),
              ElementsAre("m.eml:1: the message has 62914560 octets; 52428800 is the most"));
}

TEST(MailHeader, mbox_line_is_dropped) {
  EXPECT_THAT(Merging{}.wire("From ann Sat Jan  3 01:05:34 1996\nFrom: a@b.example\n\nx\n"),
              StartsWith("From: a@b.example\r\n"));
}

}  // namespace
}  // namespace sluice::engine::mail
