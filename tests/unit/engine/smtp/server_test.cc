#include "engine/smtp/server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/engine/smtp/server_dialogue.h"

namespace sluice::engine::smtp {
namespace {

std::string repeated(size_t times, std::string_view text) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

// ---- Envelopes

TEST(SmtpServer, takes_messages_one_after_the_other_as_they_are_pipelined) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: rcpt to:<Y@R.EXAMPLE>
    C: DATA
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 250 2.1.5 Ok
    E: rcpt <Y@r.example>
    S: 250 2.1.5 Ok
    E: content
    S: 354 End with CR LF dot CR LF
    A: message 250 2.0.0 Ok: queued as 17
    C: Subject: s
    C:
    C: text
    C: .
    C: MAIL FROM:<>
    C: RCPT TO:<postMaster>
    C: DATA
    E: message 20 Subject: s\r\n\r\ntext\r\n
    S: 250 2.0.0 Ok: queued as 17
    E: mail <>
    S: 250 2.1.0 Ok
    E: rcpt <postmaster>
    S: 250 2.1.5 Ok
    E: content
    S: 354 End with CR LF dot CR LF
    A: message 451 4.3.0 Disk says no
    C: .
    E: message 0 
    S: 451 4.3.0 Disk says no
    C: QUIT
    S: 221 2.0.0 mx.example Bye
    E: closed)"),
            "");
}

TEST(SmtpServer, says_what_it_offers) {
  EXPECT_EQ(play_server(R"(
    C: EHLO c.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250-STARTTLS
    S: 250-ETRN
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250-DSN
    S: 250-CHUNKING
    S: 250 LIMITS RCPTMAX=3 MAILMAX=1000
    C: HELO c.example
    S: 250 mx.example)"),
            "");
}

TEST(SmtpServer, does_not_offer_what_its_operator_did_not_set_up) {
  ServerOptions options = dialogue_options();
  options.offers_starttls = options.offers_auth = options.offers_etrn = false;
  EXPECT_EQ(play_server(R"(
    C: EHLO c.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250-DSN
    S: 250-CHUNKING
    S: 250 LIMITS RCPTMAX=3 MAILMAX=1000
    C: STARTTLS
    S: 502 5.5.1 STARTTLS is not offered
    C: AUTH PLAIN
    S: 502 5.5.1 AUTH is not offered
    C: ETRN a.example
    S: 502 5.5.1 ETRN is not offered)",
                        options),
            "");
}

TEST(SmtpServer, reads_all_parameters_of_an_envelope) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example> SIZE=99 body=8bitmime SMTPUTF8 RET=HDRS ENVID=Q+2BQ
    E: mail <a@s.example> size=99 8bit utf8 headers id=Q+Q
    S: 250 2.1.0 Ok
    C: RCPT TO:<x@r.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@r.example
    E: rcpt <x@r.example> notify=SUCCESS,DELAY orcpt=rfc822;a+2Bb@r.example
    S: 250 2.1.5 Ok
    C: RCPT TO:<y@r.example> NOTIFY=NEVER
    E: rcpt <y@r.example> notify=NEVER
    S: 250 2.1.5 Ok
    C: RCPT TO:<\xc3\xa9@b\xc3\xbccher.example> ORCPT=utf-8;\xc3\xa9@r
    E: rcpt <\xc3\xa9@xn--bcher-kva.example> orcpt=utf-8;\x{E9}@r utf8
    S: 250 2.1.5 Ok
    C: RSET
    S: 250 2.0.0 Ok
    C: MAIL FROM:<a@s.example> BODY=7BIT RET=full
    E: mail <a@s.example> full
    S: 250 2.1.0 Ok)"),
            "");
}

TEST(SmtpServer, takes_odd_addresses_that_are_some) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM: <@relay.example,@b:"a > b \\"c\\""@s.example>  
    E: mail <"a > b \\"c\\""@s.example>
    S: 250 2.1.0 Ok
    C: RCPT TO:<a..b.@[192.0.2.1]>
    E: rcpt <a..b.@[192.0.2.1]>
    S: 250 2.1.5 Ok
    C: RCPT TO:<list-bounces+somebody.with.a.long.name=a.long.domain.of.a.department.example@[IPv6:2001:DB8::1]>
    E: rcpt <list-bounces+somebody.with.a.long.name=a.long.domain.of.a.department.example@[IPv6:2001:db8::1]>
    S: 250 2.1.5 Ok)"),
            "");
}

struct Refused {
  std::string_view command, reply;
};
class SmtpServerRefusal : public testing::TestWithParam<Refused> {};

TEST_P(SmtpServerRefusal, of_a_bad_mail_leaves_no_transaction) {
  EXPECT_EQ(play_server(fmt::format(R"(
    H:
    C: {}
    S: {}
    C: RCPT TO:<x@r.example>
    S: 503 5.5.1 MAIL first)",
                                    GetParam().command, GetParam().reply)),
            "");
}

INSTANTIATE_TEST_SUITE_P(
    Mail, SmtpServerRefusal,
    testing::Values(
        Refused{"MAIL", "501 5.5.4 Write MAIL FROM:<address>"},
        Refused{"MAIL FROM:a@s.example", "501 5.5.4 Write MAIL FROM:<address>"},
        Refused{"MAIL FROM:<a@s.example", "501 5.5.4 Write MAIL FROM:<address>"},
        Refused{"MAIL FROM:<\"a@s.example>", "501 5.5.4 Write MAIL FROM:<address>"},
        Refused{"MAIL FROM:<a@s.example>SIZE=1", "501 5.5.4 Write MAIL FROM:<address>"},
        Refused{"MAIL FROM:<a>", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<postmaster>", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<a b@s.example>", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<a@b@s.example>", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<a@s_.example>", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<\\xc3\\xa9@s.example>",
                "553 5.6.7 Addresses beyond ASCII need SMTPUTF8"},
        Refused{"MAIL FROM:<\\xc3@s.example> SMTPUTF8", "553 5.1.7 The sender is no address"},
        Refused{"MAIL FROM:<a@s.example> SIZE=1001", "552 5.3.4 Message too large"},
        Refused{"MAIL FROM:<a@s.example> SIZE=99999999999999999999", "552 5.3.4 Message too large"},
        Refused{"MAIL FROM:<a@s.example> SIZE=-1", "501 5.5.4 SIZE is no number"},
        Refused{"MAIL FROM:<a@s.example> SIZE=", "501 5.5.4 SIZE is no number"},
        Refused{"MAIL FROM:<a@s.example> SIZE=1 SIZE=1", "501 5.5.4 Parameter given twice"},
        Refused{"MAIL FROM:<a@s.example> BODY=BINARYMIME", "501 5.5.4 BODY is 7BIT or 8BITMIME"},
        Refused{"MAIL FROM:<a@s.example> RET=HEADERS", "501 5.5.4 RET is HDRS or FULL"},
        Refused{"MAIL FROM:<a@s.example> ENVID=a+0D+0Ab",
                "501 5.5.4 ENVID is xtext of at most 100 octets"},
        Refused{"MAIL FROM:<a@s.example> ENVID=a+0d",
                "501 5.5.4 ENVID is xtext of at most 100 octets"},
        Refused{"MAIL FROM:<a@s.example> AUTH=<>", "555 5.5.4 Parameter not offered"},
        Refused{"MAIL FROM:<a@s.example> X", "555 5.5.4 Parameter not offered"}));

TEST(SmtpServer, refuses_bad_recipients_one_by_one) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    C: RCPT TO:<>
    S: 553 5.1.3 The recipient is no address
    C: RCPT TO:x@r.example
    S: 501 5.5.4 Write RCPT TO:<address>
    C: RCPT TO:<x>
    S: 553 5.1.3 The recipient is no address
    C: RCPT TO:<\xc3\xa9@r.example>
    S: 553 5.6.7 Addresses beyond ASCII need SMTPUTF8
    C: RCPT TO:<x@r.example> NOTIFY=NEVER,DELAY
    S: 501 5.5.4 NOTIFY is NEVER, or of SUCCESS, FAILURE and DELAY
    C: RCPT TO:<x@r.example> NOTIFY=DELAY NOTIFY=DELAY
    S: 501 5.5.4 Parameter given twice
    C: RCPT TO:<x@r.example> ORCPT=x
    S: 501 5.5.4 ORCPT is a type, a semicolon and xtext
    C: RCPT TO:<x@r.example> ORCPT=rfc822;a=b
    S: 501 5.5.4 ORCPT is a type, a semicolon and xtext
    C: RCPT TO:<x@r.example> SIZE=1
    S: 555 5.5.4 Parameter not offered
    A: rcpt 550 5.7.1 Not for you
    C: RCPT TO:<x@r.example>
    E: rcpt <x@r.example>
    S: 550 5.7.1 Not for you
    C: DATA
    S: 554 5.5.1 No valid recipients
    C: RCPT TO:<y@r.example>
    E: rcpt <y@r.example>
    S: 250 2.1.5 Ok)"),
            "");
}

TEST(SmtpServer, defers_recipients_beyond_its_limit) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    C: RCPT TO:<1@r.example>
    E: rcpt <1@r.example>
    S: 250 2.1.5 Ok
    C: RCPT TO:<2@r.example>
    E: rcpt <2@r.example>
    S: 250 2.1.5 Ok
    C: RCPT TO:<3@r.example>
    E: rcpt <3@r.example>
    S: 250 2.1.5 Ok
    C: RCPT TO:<4@r.example>
    S: 452 4.5.3 Too many recipients
    C: DATA
    E: content
    S: 354 End with CR LF dot CR LF
    C: .
    E: message 0 
    S: 250 2.0.0 Ok)"),
            "");
}

// ---- Order

TEST(SmtpServer, wants_commands_in_their_order) {
  EXPECT_EQ(play_server(R"(
    C: MAIL FROM:<a@s.example>
    S: 503 5.5.1 EHLO first
    C: EHLO
    S: 501 5.5.4 Say who you are
    H:
    C: RCPT TO:<x@r.example>
    S: 503 5.5.1 MAIL first
    C: DATA
    S: 503 5.5.1 RCPT first
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    C: MAIL FROM:<a@s.example>
    S: 503 5.5.1 A transaction is under way
    C: ETRN a.example
    S: 503 5.5.1 Not now
    C: STARTTLS
    S: 503 5.5.1 Not now
    C: DATA now
    S: 501 5.5.4 Bad argument
    C: RSET
    S: 250 2.0.0 Ok
    C: RCPT TO:<x@r.example>
    S: 503 5.5.1 MAIL first)"),
            "");
}

TEST(SmtpServer, forgets_the_transaction_at_ehlo) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 250 2.1.5 Ok
    H:
    C: DATA
    S: 503 5.5.1 RCPT first
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)"),
            "");
}

TEST(SmtpServer, answers_what_moves_no_mail) {
  EXPECT_EQ(play_server(R"(
    C: NOOP whatever
    S: 250 2.0.0 Ok
    C: help
    S: 214 2.0.0 See RFC 5321
    C: VRFY somebody
    S: 252 2.0.0 Not verified; send and see
    C: VRFY
    S: 501 5.5.4 Bad argument
    C: EXPN list
    S: 502 5.5.1 Lists are not expanded
    C: RSET
    S: 250 2.0.0 Ok
    C: RSET all
    S: 501 5.5.4 Bad argument
    C: XCLIENT NAME=me
    S: 500 5.5.2 Command unknown
    C:
    S: 500 5.5.2 Command unknown)"),
            "");
}

TEST(SmtpServer, asks_its_caller_about_etrn) {
  EXPECT_EQ(play_server(R"(
    C: ETRN a.example
    S: 503 5.5.1 Not now
    H:
    A: etrn 250 2.0.0 Queuing for node A.example started
    C: ETRN A.example
    E: etrn a.example
    S: 250 2.0.0 Queuing for node A.example started
    A: etrn 251 2.0.0 No messages
    C: ETRN @b.example
    E: etrn @b.example
    S: 251 2.0.0 No messages
    A: etrn 459 4.7.1 Not for you
    C: ETRN #all
    E: etrn #all
    S: 459 4.7.1 Not for you
    C: ETRN
    S: 501 5.5.4 Name a host, @domain or #queue
    C: ETRN @
    S: 501 5.5.4 Name a host, @domain or #queue
    C: ETRN a.example b.example
    S: 501 5.5.4 Name a host, @domain or #queue)"),
            "");
}

// ---- Lines

TEST(SmtpServer, takes_no_command_that_does_not_end_in_cr_lf) {
  EXPECT_EQ(play_server(R"(
    H:
    c: NOOP\n
    S: 500 5.5.2 Bare line feed: lines end in CR LF
    c: NOOP\rNOOP\r\n
    S: 500 5.5.2 Control octet in a command
    c: NOOP\0\r\n
    S: 500 5.5.2 Control octet in a command
    c: NOOP\r\r\n
    S: 500 5.5.2 Control octet in a command
    C: NOOP
    S: 250 2.0.0 Ok)"),
            "");
}

TEST(SmtpServer, takes_octets_over_127_in_addresses_only) {
  EXPECT_EQ(play_server(R"(
    C: EHLO b\xc3\xbccher.example
    S: 500 5.5.2 Octet over 127 in a command
    H:
    C: NOOP \xff
    S: 500 5.5.2 Octet over 127 in a command)"),
            "");
}

TEST(SmtpServer, swallows_a_line_that_is_too_long_to_its_end) {
  const std::string line(Server::command_bytes_max - 7, 'x');
  EXPECT_EQ(play_server("C: NOOP " + line + "\nS: 250 2.0.0 Ok\nC: NOOP x" + line +
                            "\nS: 500 5.5.2 Line too long\nC: NOOP\nS: 250 2.0.0 Ok\n",
                        dialogue_options(), true),
            "");
}

TEST(SmtpServer, holds_no_more_of_a_line_without_end_than_its_limit) {
  const ServerOptions options = dialogue_options();
  Server server(options);
  std::string out;
  server.greet(out);
  out.clear();
  const std::string block(65536, 'x');
  for (unsigned i = 0; i < 1000; ++i) {
    auto input = std::as_bytes(std::span(block));
    ASSERT_EQ(server.next(input, out), Server::Event::needs_input);
  }
  EXPECT_EQ(out, "");
  auto input = std::as_bytes(std::span(std::string_view("\r\n")));
  EXPECT_EQ(server.next(input, out), Server::Event::replied);
  EXPECT_EQ(out, "500 5.5.2 Line too long\r\n");
}

// ---- Bad company

TEST(SmtpServer, ends_a_session_of_errors) {
  EXPECT_EQ(play_server(repeated(Server::errors_max, "C: FOO\nS: 500 5.5.2 Command unknown\n") +
                        "C: FOO\nS: 421 4.7.0 Too many errors\nE: closed\n"),
            "");
}

TEST(SmtpServer, forgives_errors_after_a_message) {
  const std::string errors = repeated(Server::errors_max, "C: FOO\nS: 500 5.5.2 Command unknown\n");
  EXPECT_EQ(play_server("H:\n" + errors + R"(
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: BDAT 0 LAST
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    E: rcpt <x@r.example>
    S: 250 2.1.5 Ok
    E: content
    E: message 0 
    S: 250 2.0.0 Ok
)" + errors,
                        dialogue_options(), true),
            "");
}

TEST(SmtpServer, ends_a_session_that_never_sends_mail) {
  EXPECT_EQ(play_server("H:\n" +
                            repeated(Server::idle_commands_max - 1 + Server::errors_max,
                                     "C: NOOP\nS: 250 2.0.0 Ok\n") +
                            "C: NOOP\nS: 421 4.7.0 Too many errors\nE: closed\n",
                        dialogue_options(), true),
            "");
}

TEST(SmtpServer, ends_a_session_of_enough_messages) {
  ServerOptions options = dialogue_options();
  options.transactions_max = 1;
  EXPECT_EQ(play_server(R"(
    C: HELO c.example
    S: 250 mx.example
    C: MAIL FROM:<a@s.example>
    C: RSET
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    S: 250 2.0.0 Ok
    S: 421 4.7.0 Enough messages for one session
    E: closed)",
                        options),
            "");
}

TEST(SmtpServer, hangs_up_on_a_browser_that_was_led_here) {
  EXPECT_EQ(play_server(R"(
    C: POST / HTTP/1.1
    C: Host: 127.0.0.1:2525
    C: Content-Type: text/plain
    C:
    C: EHLO x
    C: MAIL FROM:<a@s.example>
    S: 554 5.5.1 This is SMTP
    E: closed)"),
            "");
}

TEST(SmtpServer, quotes_a_client_without_letting_it_write_replies) {
  const ServerOptions options = dialogue_options();
  Server server(options);
  std::string out;
  server.greet(out);
  out.clear();
  server.close(out, "421 4.7.0 a\r\n250 b\xc3" + std::string(600, 'x'));
  EXPECT_EQ(out, "421 4.7.0 a??250 b?" + std::string(510 - 19, 'x') + "\r\n");
}

TEST(SmtpServer, turns_a_client_away_before_it_greets) {
  const ServerOptions options = dialogue_options();
  Server busy(options), closed(options);
  std::string out;
  auto input = std::as_bytes(std::span(std::string_view("EHLO x\r\nQUIT\r\n")));
  busy.greet(out, "421 4.7.0 Too many sessions");
  EXPECT_EQ(busy.next(input, out), Server::Event::closed);
  EXPECT_EQ(out, "421 4.7.0 Too many sessions\r\n");
  EXPECT_EQ(input.size(), 14u);

  out.clear();
  closed.greet(out, "554 5.7.1 Not for you");
  EXPECT_EQ(closed.next(input, out), Server::Event::replied);
  EXPECT_EQ(closed.next(input, out), Server::Event::closed);
  EXPECT_EQ(out,
            "554 5.7.1 Not for you\r\n503 5.5.1 No service here\r\n221 2.0.0 mx.example Bye\r\n");
}

TEST(SmtpServer, ends_at_once_whatever_is_owed) {
  const ServerOptions options = dialogue_options();
  Server server(options);
  std::string out;
  server.greet(out);
  auto input =
      std::as_bytes(std::span(std::string_view("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\n")));
  EXPECT_EQ(server.next(input, out), Server::Event::replied);
  EXPECT_EQ(server.next(input, out), Server::Event::mail);
  EXPECT_TRUE(server.is_owed());
  out.clear();
  server.close(out, "421 4.3.2 Stopping");
  EXPECT_EQ(out, "421 4.3.2 Stopping\r\n");
  EXPECT_EQ(server.next(input, out), Server::Event::closed);
  EXPECT_TRUE(server.is_closed());
  EXPECT_EQ(input.size(), 15u);
}

TEST(SmtpServer, is_closed_by_an_answer_of_421) {
  EXPECT_EQ(play_server(R"(
    H:
    A: mail 421 4.3.2 Stopping
    C: MAIL FROM:<a@s.example>
    C: NOOP
    E: mail <a@s.example>
    S: 421 4.3.2 Stopping
    E: closed)"),
            "");
}

}  // namespace
}  // namespace sluice::engine::smtp
