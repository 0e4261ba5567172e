#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/smtp/server.h"
#include "tests/unit/engine/smtp/server_dialogue.h"

namespace sluice::engine::smtp {
namespace {

/// Behind a transaction up to its content.
std::string begun(std::string_view rest) {
  return fmt::format(R"(
    H:
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 250 2.1.5 Ok
{})",
                     rest);
}

std::string granted(std::string_view rest) {
  return begun(fmt::format(R"(
    C: DATA
    E: content
    S: 354 End with CR LF dot CR LF
{})",
                           rest));
}

// ---- DATA

TEST(SmtpServerContent, is_handed_on_as_it_came_and_still_dot_stuffed) {
  EXPECT_EQ(play_server(granted(R"(
    C: ..
    C: ..x
    C: .x
    C: x.
    C: ...
    C:
    C: .
    E: message 24 ..\r\n..x\r\n.x\r\nx.\r\n...\r\n\r\n
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerContent, tells_of_octets_over_127) {
  EXPECT_EQ(play_server(granted(R"(
    C: 0123456789012345678901234567890\xe9
    C: .
    E: message 34 8bit 0123456789012345678901234567890\xe9\r\n
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerContent, is_not_8bit_for_what_the_next_command_holds) {
  EXPECT_EQ(play_server(granted(R"(
    C: 7 bits
    C: .
    C: MAIL FROM:<\xc3\xa9@s.example> SMTPUTF8
    E: message 8 7 bits\r\n
    S: 250 2.0.0 Ok
    E: mail <\xc3\xa9@s.example> utf8
    S: 250 2.1.0 Ok)")),
            "");
}

struct Smuggling {
  std::string_view end, reply;
};
class SmtpServerSmuggling : public testing::TestWithParam<Smuggling> {};

/// What other servers took for the end of a message (CVE-2023-51764, -51765, -51766 and their
/// kin): here the message goes on to its true end, and is refused as a whole.
TEST_P(SmtpServerSmuggling, ends_no_message_and_gives_no_command) {
  EXPECT_EQ(play_server(granted(fmt::format(R"(
    c: text{}
    C: MAIL FROM:<smuggled@s.example>
    C: RCPT TO:<victim@r.example>
    C: DATA
    E: dropped {}
    C: smuggled
    c: \r\n.\r\n
    S: {}
    C: NOOP
    S: 250 2.0.0 Ok)",
                                            GetParam().end, GetParam().reply, GetParam().reply))),
            "");
}

constexpr std::string_view lf = "550 5.6.11 Bare line feed: lines end in CR LF";
constexpr std::string_view cr = "550 5.6.11 Bare carriage return: lines end in CR LF";
constexpr std::string_view nul = "550 5.6.11 NUL octet: binary content is not offered";

INSTANTIATE_TEST_SUITE_P(
    All, SmtpServerSmuggling,
    testing::Values(Smuggling{R"(\n.\n)", lf}, Smuggling{R"(\n.\r\n)", lf},
                    Smuggling{R"(\r.\r)", cr}, Smuggling{R"(\r.\r\n)", cr},
                    Smuggling{R"(\r\n.\n)", lf}, Smuggling{R"(\r\n.\r)", cr},
                    Smuggling{R"(\n.\r)", lf}, Smuggling{R"(\r.\n)", cr},
                    Smuggling{R"(\r\n.\r\r\n)", cr}, Smuggling{R"(\r\n\0.\r\n)", nul},
                    Smuggling{R"(\r\n.\0\r\n)", nul}, Smuggling{R"(\0\r\n\r\n)", nul},
                    Smuggling{R"(\n\r\n.\n\r\n)", lf}, Smuggling{R"(\n\n.\n\n)", lf},
                    Smuggling{R"(\r\n\n.\r\n)", lf}));

TEST(SmtpServerContent, of_a_lone_bare_line_feed_is_refused) {
  EXPECT_EQ(play_server(granted(R"(
    c: a\nb\r\n
    C: .
    E: dropped 550 5.6.11 Bare line feed: lines end in CR LF
    S: 550 5.6.11 Bare line feed: lines end in CR LF
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)")),
            "");
}

TEST(SmtpServerContent, over_the_size_is_swallowed_and_refused) {
  const std::string line = "C: " + std::string(98, 'x') + "\n";
  std::string lines;
  for (unsigned i = 0; i < 10; ++i) lines += line;
  std::string content;
  for (unsigned i = 0; i < 10; ++i) content += std::string(98, 'x') + "\\r\\n";
  // A thousand octets are allowed, dots of dot-stuffing not counted.
  EXPECT_EQ(
      play_server(granted(lines + "C: .\nE: message 1000 " + content + "\nS: 250 2.0.0 Ok\n")), "");
  EXPECT_EQ(play_server(granted(lines + R"(
    C: .x
    C: .
    E: dropped 552 5.3.4 Message too large
    S: 552 5.3.4 Message too large
    C: NOOP
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerContent, does_not_count_stuffed_dots_as_its_size) {
  const std::string content = "." + std::string(998, 'x');
  ServerOptions options = dialogue_options();
  EXPECT_EQ(play_server(granted("C: " + content + "\nC: .\nE: message 1001 " + content +
                                "\\r\\n\nS: 250 2.0.0 Ok\n")),
            "");
}

TEST(SmtpServerContent, that_is_far_over_the_size_ends_the_session) {
  std::string lines;
  for (unsigned i = 0; i < 11; ++i) lines += "C: " + std::string(98, 'x') + "\n";
  EXPECT_EQ(play_server(granted(lines + "E: dropped 552 5.3.4 Message too large\n" + lines + R"(
    S: 552 5.3.4 Message too large
    E: closed)")),
            "");
}

TEST(SmtpServerContent, ends_behind_a_bare_carriage_return_that_comes_before_a_line_end) {
  EXPECT_EQ(play_server(granted(R"(
    c: text\r\r\n.\r\n
    C: NOOP
    E: dropped 550 5.6.11 Bare carriage return: lines end in CR LF
    S: 550 5.6.11 Bare carriage return: lines end in CR LF
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerContent, may_have_lines_of_65536_octets_and_no_longer) {
  ServerOptions options = dialogue_options();
  options.message_bytes_max = 1'000'000;
  const std::string line(ContentScanner::line_bytes_max, 'x');
  EXPECT_EQ(play_server(granted("C: " + line + "\nC: .\nE: message 65538 " + line +
                                "\\r\\n\nS: 250 2.0.0 Ok\n"),
                        options, true),
            "");
  EXPECT_EQ(play_server(granted("C: x" + line + R"(
    C: .
    E: dropped 550 5.6.11 Line longer than 65536 octets
    S: 550 5.6.11 Line longer than 65536 octets)"),
                        options, true),
            "");
}

TEST(SmtpServerContent, may_be_refused_before_it_begins) {
  EXPECT_EQ(play_server(begun(R"(
    A: content 452 4.3.1 Disk is full
    C: DATA
    E: content
    S: 452 4.3.1 Disk is full
    C: MAIL FROM:<b@s.example>
    E: mail <b@s.example>
    S: 250 2.1.0 Ok)")),
            "");
}

TEST(SmtpServerContent, may_be_refused_by_the_caller_while_it_comes) {
  EXPECT_EQ(play_server(granted(R"(
    C: Received: by a
    R: 554 5.4.6 It goes round in circles
    c: bare\n.\n
    C: .
    c: \r\n.\r\n
    S: 554 5.4.6 It goes round in circles
    C: NOOP
    S: 250 2.0.0 Ok)")),
            "");
}

// ---- BDAT

TEST(SmtpServerChunks, make_one_message_in_wire_form) {
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 12\r\n.dot\r\n.\r\n.x\r
    E: content
    S: 250 2.0.0 Chunk taken
    c: bdat 4\r\n\n.\r\n
    S: 250 2.0.0 Chunk taken
    c: BDAT 0\r\n
    S: 250 2.0.0 Chunk taken
    c: BDAT 3 last\r\n.\r\n
    C: NOOP
    E: message 24 ..dot\r\n..\r\n..x\r\n..\r\n..\r\n
    S: 250 2.0.0 Ok
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerChunks, get_the_line_end_that_the_last_line_lacks) {
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 6 LAST\r\na\r\nend
    E: content
    E: message 8 a\r\nend\r\n
    S: 250 2.0.0 Ok
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    c: BDAT 1\r\n.
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 250 2.1.5 Ok
    E: content
    S: 250 2.0.0 Chunk taken
    C: BDAT 0 LAST
    E: message 4 ..\r\n
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerChunks, may_be_none_but_an_empty_one) {
  EXPECT_EQ(play_server(begun(R"(
    C: BDAT 0 LAST
    E: content
    E: message 0 
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerChunks, end_where_they_said_whatever_they_hold) {
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 27 LAST\r\n\r\n.\r\nMAIL FROM:<b@s.ex>\r\nQUIT
    E: content
    E: message 30 \r\n..\r\nMAIL FROM:<b@s.ex>\r\nQU\r\n
    S: 250 2.0.0 Ok
    c: \r\n
    S: 500 5.5.2 Command unknown)")),
            "");
}

TEST(SmtpServerChunks, with_bare_line_ends_are_swallowed_and_refused) {
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 3\r\na\nb
    E: content
    E: dropped 550 5.6.11 Bare line feed: lines end in CR LF
    S: 550 5.6.11 Bare line feed: lines end in CR LF
    c: BDAT 4 LAST\r\nQUIT
    S: 550 5.6.11 Bare line feed: lines end in CR LF
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)")),
            "");
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 2 LAST\r\na\r
    E: content
    E: dropped 550 5.6.11 Bare carriage return: lines end in CR LF
    S: 550 5.6.11 Bare carriage return: lines end in CR LF)")),
            "");
}

TEST(SmtpServerChunks, swallow_their_octets_when_all_recipients_were_refused) {
  EXPECT_EQ(play_server(R"(
    H:
    A: rcpt 550 5.7.1 No
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: BDAT 6
    C: QUIT
    C: BDAT 6 LAST
    C: QUIT
    C: NOOP
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 550 5.7.1 No
    S: 554 5.5.1 No valid recipients
    S: 554 5.5.1 No valid recipients
    S: 250 2.0.0 Ok
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)"),
            "");
}

TEST(SmtpServerChunks, swallow_their_octets_when_the_caller_refuses_them) {
  EXPECT_EQ(play_server(begun(R"(
    A: content 452 4.3.1 Disk is full
    C: BDAT 6
    C: QUIT
    C: BDAT 6 LAST
    C: QUIT
    E: content
    S: 452 4.3.1 Disk is full
    S: 452 4.3.1 Disk is full
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)")),
            "");
}

TEST(SmtpServerChunks, swallow_their_octets_out_of_order) {
  EXPECT_EQ(play_server(R"(
    C: BDAT 6
    C: QUIT
    S: 503 5.5.1 RCPT first
    H:
    C: BDAT 6 LAST
    C: QUIT
    S: 503 5.5.1 RCPT first
    C: BDAT 6 LAST
    C: QUIT
    S: 503 5.5.1 RCPT first
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)"),
            "");
}

TEST(SmtpServerChunks, are_counted_as_the_size) {
  const std::string half = "BDAT 600\\r\\n" + std::string(600, 'x');
  EXPECT_EQ(play_server(begun("c: " + half + R"(
    E: content
    S: 250 2.0.0 Chunk taken
    c: )" + half + R"(
    E: dropped 552 5.3.4 Message too large
    S: 552 5.3.4 Message too large
    c: BDAT 1 LAST\r\nx
    S: 552 5.3.4 Message too large
    C: NOOP
    S: 250 2.0.0 Ok)")),
            "");
}

TEST(SmtpServerChunks, are_forgotten_at_rset_and_ehlo) {
  for (const std::string_view command : {"RSET\n S: 250 2.0.0 Ok", "HELO x\n S: 250 mx.example"})
    EXPECT_EQ(play_server(begun(fmt::format(R"(
    c: BDAT 2\r\n\r\n
    E: content
    S: 250 2.0.0 Chunk taken
    C: {}
    E: dropped
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)",
                                            command))),
              "");
}

TEST(SmtpServerChunks, do_not_mix_with_other_commands) {
  EXPECT_EQ(play_server(begun(R"(
    c: BDAT 2\r\n\r\n
    E: content
    S: 250 2.0.0 Chunk taken
    C: DATA
    S: 503 5.5.1 RCPT first
    C: RCPT TO:<x@r.example>
    S: 503 5.5.1 MAIL first
    C: MAIL FROM:<x@r.example>
    S: 503 5.5.1 A transaction is under way
    C: BDAT 0 LAST
    E: message 2 \r\n
    S: 250 2.0.0 Ok)")),
            "");
}

class SmtpServerChunkSize : public testing::TestWithParam<std::string_view> {};

TEST_P(SmtpServerChunkSize, that_is_none_ends_the_session) {
  EXPECT_EQ(play_server(begun(fmt::format(R"(
    C: BDAT{}
    C: MAIL FROM:<smuggled@s.example>
    S: 501 5.5.4 Not a chunk's size; content cannot be told from commands
    E: closed)",
                                          GetParam()))),
            "");
}

INSTANTIATE_TEST_SUITE_P(All, SmtpServerChunkSize,
                         testing::Values("", " x", " -1", " +1", " 1x", " 1 FIRST", " 0x10",
                                         " 1 LAST LAST", " LAST", " 18446744073709551616"));

}  // namespace
}  // namespace sluice::engine::smtp
