#include "engine/smtp/client.h"

#include <gtest/gtest.h>

#include "tests/unit/engine/smtp/dialogue.h"

namespace sluice::engine::smtp {
namespace {

// ---- Opening
// -------------------------------------------------------------------------------------

TEST(SmtpClient, delivers_one_message_command_by_command_without_pipelining) {
  EXPECT_EQ(play(R"(
    G: greeting
    O: a@s.example -> x@r.example y@r.example
    S: 220 mx.example
    C: EHLO me.example
    G: ehlo
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    G: mail
    S: 250 ok
    C: RCPT TO:<x@r.example>
    G: rcpt
    S: 250 ok
    C: RCPT TO:<y@r.example>
    S: 250 ok
    C: DATA
    G: data
    S: 354 go on
    C: hello
    C: .
    G: final_dot
    S: 250 2.0.0 queued
    E: 0.0 success recipient final_dot 250 2.0.0 | 250 2.0.0 queued
    E: 0.1 success recipient final_dot 250 2.0.0
    E: 0 ended
    G: idle
    Q:
    C: QUIT
    G: quit
    S: 221 bye
    G: idle)"),
            "");
}

TEST(SmtpClient, sends_the_next_envelope_behind_the_final_dot_with_pipelining) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example z@r.example ; body=second
    O: <> -> v@r.example ; body=third
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<y@r.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    G: final_dot
    S: 250 queued
    S: 250 ok
    S: 250 ok
    S: 250 ok
    S: 354 go on
    E: 0.0 success recipient final_dot 250
    E: 0 ended
    C: second
    C: .
    C: MAIL FROM:<>
    C: RCPT TO:<v@r.example>
    C: DATA
    S: 250 queued
    S: 250 ok
    S: 250 ok
    S: 354 go on
    E: 1.0 success recipient final_dot 250
    E: 1.1 success recipient final_dot 250
    E: 1 ended
    C: third
    C: .
    Q:
    S: 250 queued
    E: 2.0 success recipient final_dot 250
    E: 2 ended
    C: QUIT
    S: 221 bye)"),
            "");
}

TEST(SmtpClient, falls_back_to_HELO_when_EHLO_is_refused_for_good) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example ; size=100
    S: 220 old.example
    C: EHLO me.example
    S: 502 what?
    C: HELO me.example
    G: ehlo
    S: 250 hello
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 250 ok
    C: RCPT TO:<x@r.example>)"),
            "");
}

TEST(SmtpClient, blames_the_host_when_HELO_is_refused_as_well) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 old.example
    C: EHLO me.example
    S: 502 what?
    C: HELO me.example
    S: 550 no
    E: 0 returned
    E: failed permanent host ehlo 550 | 550 no)"),
            "");
}

TEST(SmtpClient, does_not_try_HELO_when_EHLO_is_refused_for_now) {
  EXPECT_EQ(play(R"(
    S: 220 mx.example
    C: EHLO me.example
    S: 451 later
    E: failed transient host ehlo 451)"),
            "");
}

TEST(SmtpClient, returns_what_was_offered_when_the_greeting_refuses) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example
    S: 554-5.7.1 no mail from you
    S: 554 5.7.1 really
    E: 0 returned
    E: 1 returned
    E: failed permanent host greeting 554 5.7.1 | 554-5.7.1 no mail from you\n554 5.7.1 really
    G: idle)"),
            "");
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 421 busy
    E: 0 returned
    E: failed transient host greeting 421)"),
            "");
}

TEST(SmtpClient, waits_for_the_whole_greeting_before_it_speaks) {
  EXPECT_EQ(play(R"(
    S: 220-mx.example
    S: 220-first
    S: 220 second
    C: EHLO me.example)"),
            "");
}

TEST(SmtpClient, quits_an_idle_session_and_one_that_never_had_work) {
  EXPECT_EQ(play(R"(
    Q:
    G: greeting
    S: 220 mx.example
    C: QUIT
    S: 221 bye)"),
            "");
  EXPECT_EQ(play(R"(
    S: 220 mx.example
    C: EHLO me.example
    Q:
    G: ehlo
    S: 250 mx.example
    E: opened
    C: QUIT
    S: 500 whatever is said to it)"),
            "");
}

// ---- Parameters and refusals of our own
// ------------------------------------------------------------

TEST(SmtpClient, asks_only_for_extensions_that_are_offered_and_needed) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example ; size=1000 8bit
    O: a@s.example -> x@r.example ; utf8
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250-pipelining
    S: 250-Size 1000
    S: 250-8bitMIME
    S: 250 SMTPUTF8
    E: opened
    C: MAIL FROM:<a@s.example> SIZE=1000 BODY=8BITMIME
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<a@s.example> SMTPUTF8
    C: RCPT TO:<x@r.example>
    C: DATA)"),
            "");
}

TEST(SmtpClient, hands_on_what_the_sender_wants_to_hear_of_to_a_peer_that_offers_dsn) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y+z@r.example ; notify=success,failure ret=full envid=Q+1
    O: a@s.example -> x@r.example ; notify=never ret=headers
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250 DSN
    E: opened
    C: MAIL FROM:<a@s.example> RET=FULL ENVID=Q+2B1
    C: RCPT TO:<x@r.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x@r.example
    C: RCPT TO:<y+z@r.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;y+2Bz@r.example
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<a@s.example> RET=HDRS
    C: RCPT TO:<x@r.example> NOTIFY=NEVER ORCPT=rfc822;x@r.example
    C: DATA
    S: 250 ok
    E: 0.0 success recipient final_dot 250
    E: 0.1 success recipient final_dot 250
    E: 0 ended
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA)"),
            "");
}

TEST(SmtpClient, says_nothing_of_notices_to_a_peer_without_dsn) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example ; notify=success ret=full envid=Q1
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA)"),
            "");
}

TEST(SmtpClient, refuses_here_what_the_peer_cannot_take_and_goes_on) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example ; size=1001
    O: a@s.example -> x@r.example ; 8bit
    O: a@s.example -> x@r.example ; utf8
    O: a@s.example -> x@r.example ; size=1000
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 SIZE 1000
    E: opened
    E: 0.0 permanent message mail 5.3.4 (message is larger than the server's SIZE limit)
    E: 0.1 permanent message mail 5.3.4 (message is larger than the server's SIZE limit)
    E: 0 ended
    E: 1.0 permanent message mail 5.6.3 (server does not offer 8BITMIME)
    E: 1 ended
    E: 2.0 permanent message mail 5.6.7 (server does not offer SMTPUTF8)
    E: 2 ended
    C: MAIL FROM:<a@s.example> SIZE=1000)"),
            "");
}

TEST(SmtpClient, keeps_the_order_when_the_transaction_behind_the_dot_is_refused_here) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example ; size=11
    O: c@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250 SIZE 10
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    S: 250 queued
    E: 0.0 success recipient final_dot 250
    E: 0 ended
    E: 1.0 permanent message mail 5.3.4 (message is larger than the server's SIZE limit)
    E: 1 ended
    C: MAIL FROM:<c@s.example>
    C: RCPT TO:<z@r.example>
    C: DATA)"),
            "");
}

TEST(SmtpClient, never_writes_an_address_that_would_become_another_command) {
  EXPECT_EQ(play(R"(
    O: a>@s.example -> x@r.example
    O: a@s.example -> x<@r.example
    O: a@s.example -> <x@r.example y@r.example z>@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    E: 0.0 permanent message mail 5.1.7 (sender's address cannot be written in SMTP)
    E: 0 ended
    E: 1.0 permanent recipient mail 5.1.3 (recipient's address cannot be written in SMTP)
    E: 1 ended
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    E: 2.0 permanent recipient mail 5.1.3 (recipient's address cannot be written in SMTP)
    E: 2.2 permanent recipient mail 5.1.3 (recipient's address cannot be written in SMTP)
    C: hello
    C: .
    S: 250 queued
    E: 2.1 success recipient final_dot 250
    E: 2 ended)"),
            "");
}

// ---- Refusals of the peer
// --------------------------------------------------------------------------

TEST(SmtpClient, blames_the_message_when_MAIL_is_refused_and_needs_no_RSET) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 550 5.7.1 not from you
    S: 503 MAIL first
    S: 503 MAIL first
    S: 503 RCPT first
    E: 0.0 permanent message mail 550 5.7.1 | 550 5.7.1 not from you
    E: 0.1 permanent message mail 550 5.7.1
    E: 0 ended
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<z@r.example>
    C: DATA)"),
            "");
}

TEST(SmtpClient, spares_RCPT_and_DATA_when_MAIL_is_refused_without_pipelining) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 451 later
    E: 0.0 transient message mail 451
    E: 0.1 transient message mail 451
    E: 0 ended
    C: MAIL FROM:<b@s.example>)"),
            "");
}

TEST(SmtpClient, delivers_to_the_recipients_that_were_granted) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    S: 250 ok
    S: 550 5.1.1 no such user
    S: 251 will forward
    S: 452 4.5.3 too many
    S: 354 go on
    E: 0.0 permanent recipient rcpt 550 5.1.1
    E: 0.2 returned
    C: hello
    C: .
    S: 250 queued
    E: 0.1 success recipient final_dot 250
    E: 0 ended)"),
            "");
}

TEST(SmtpClient, returns_those_beyond_what_the_peer_takes_at_once_and_goes_on) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> v@r.example x@r.example y@r.example z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 250 ok
    C: RCPT TO:<v@r.example>
    S: 452 the first cannot be one too many
    E: 0.0 transient recipient rcpt 452
    C: RCPT TO:<x@r.example>
    S: 250 ok
    C: RCPT TO:<y@r.example>
    S: 452 too many recipients
    E: 0.2 returned
    C: RCPT TO:<z@r.example>
    S: 452 4.2.2 mailbox full
    E: 0.3 transient recipient rcpt 452 4.2.2
    C: DATA
    S: 354 go on
    C: hello
    C: .
    S: 550 no
    E: 0.1 permanent message final_dot 550
    E: 0 ended)"),
            "");
}

TEST(SmtpClient, goes_by_the_enhanced_code_for_too_many_recipients_whatever_the_code) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> v@r.example x@r.example y@r.example z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<v@r.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    S: 250 ok
    S: 550 5.5.3 too many, though the first
    S: 250 ok
    S: 550 5.5.3 too many
    S: 451 4.5.3 too many
    S: 421 4.3.2 going down
    E: 0.0 permanent recipient rcpt 550 5.5.3
    E: 0.2 returned
    E: 0.3 returned
    E: 0.1 transient session data 421 4.3.2
    E: 0 ended
    E: failed transient session data 421 4.3.2)"),
            "");
}

TEST(SmtpClient, takes_552_for_too_many_recipients_once_some_were_granted) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> v@r.example x@r.example y@r.example z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<v@r.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    S: 250 ok
    S: 552 the first cannot be one too many
    S: 250 ok
    S: 552 5.2.2 mailbox full
    S: 552 too many recipients
    S: 354 go on
    E: 0.0 permanent recipient rcpt 552
    E: 0.2 permanent recipient rcpt 552 5.2.2
    E: 0.3 returned
    C: hello
    C: .)"),
            "");
}

TEST(SmtpClient, clears_the_envelope_with_RSET_in_the_same_flight_when_all_recipients_are_refused) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 550 no such user
    S: 554 no valid recipients
    E: 0.0 permanent recipient rcpt 550
    E: 0 ended
    C: RSET
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    G: rset
    S: 250 reset
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    S: 250 queued
    E: 1.0 success recipient final_dot 250
    E: 1 ended)"),
            "");
}

TEST(SmtpClient, spares_DATA_but_not_RSET_when_all_recipients_are_refused_without_pipelining) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 250 ok
    C: RCPT TO:<x@r.example>
    S: 550 no
    E: 0.0 permanent recipient rcpt 550
    C: RCPT TO:<y@r.example>
    S: 450 not now
    E: 0.1 transient recipient rcpt 450
    E: 0 ended
    C: RSET
    S: 250 ok
    C: MAIL FROM:<b@s.example>)"),
            "");
}

TEST(SmtpClient, needs_no_RSET_before_QUIT) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 250 ok
    C: RCPT TO:<x@r.example>
    S: 550 no
    E: 0.0 permanent recipient rcpt 550
    E: 0 ended
    Q:
    C: QUIT)"),
            "");
}

TEST(SmtpClient, ends_the_session_when_RSET_is_refused) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 451 no content today
    E: 0.0 transient message data 451
    E: 0 ended
    C: RSET
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    S: 500 no
    E: 1 returned
    E: failed permanent session rset 500)"),
            "");
}

TEST(SmtpClient, answers_354_without_recipients_with_a_lone_dot_and_ignores_what_is_said_to_it) {
  for (const char* const reply :
       {"250 an empty message for nobody", "554 no valid recipients", "451 later"}) {
    EXPECT_EQ(play(std::string(R"(
      O: a@s.example -> x@r.example
      O: b@s.example -> y@r.example
      S: 220 mx.example
      C: EHLO me.example
      S: 250-mx.example
      S: 250 PIPELINING
      E: opened
      C: MAIL FROM:<a@s.example>
      C: RCPT TO:<x@r.example>
      C: DATA
      S: 250 ok
      S: 550 no such user
      S: 354 go on
      E: 0.0 permanent recipient rcpt 550
      E: 0 ended
      C: .
      C: MAIL FROM:<b@s.example>
      C: RCPT TO:<y@r.example>
      C: DATA
      G: final_dot
      S: )") + reply +
                   R"(
      S: 250 ok
      S: 250 ok
      S: 354 go on
      C: hello
      C: .
      S: 250 queued
      E: 1.0 success recipient final_dot 250
      E: 1 ended)"),
              "");
  }
}

TEST(SmtpClient, sends_the_lone_dot_even_when_nothing_follows) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    Q:
    S: 550 no
    S: 503 no
    S: 354 go on
    E: 0.0 permanent message mail 550
    E: 0 ended
    C: .
    S: 554 no
    C: QUIT)"),
            "");
}

TEST(SmtpClient, sends_nothing_to_a_peer_that_grants_recipients_and_DATA_after_refusing_MAIL) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 550 no
    S: 250 ok
    S: 354 go on
    E: 0.0 permanent message mail 550
    E: 0 ended
    E: failed transient session data (RCPT and DATA granted after MAIL was refused) | 354 go on)"),
            "");
}

TEST(SmtpClient, keeps_both_in_order_when_the_dot_is_refused_with_the_next_envelope_under_way) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 554-5.7.1 spam
    S: 554 5.7.1 go away
    S: 250 ok
    S: 250 ok
    S: 354 go on
    E: 0.0 permanent message final_dot 554 5.7.1 | 554-5.7.1 spam\n554 5.7.1 go away
    E: 0 ended
    C: hello
    C: .
    S: 250 queued
    E: 1.0 success recipient final_dot 250
    E: 1 ended)"),
            "");
}

TEST(SmtpClient, decides_by_the_code_when_the_enhanced_code_contradicts_it) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 250 ok
    S: 550 4.2.1 which?
    S: 450 5.1.1 which?
    E: 0.0 permanent recipient rcpt 550 4.2.1
    E: 0.1 transient recipient rcpt 450 5.1.1)"),
            "");
}

// ---- 421 at any moment
// ------------------------------------------------------------------------------

TEST(SmtpClient, says_nothing_more_after_421_to_EHLO) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 421 closing
    E: 0 returned
    E: failed transient host ehlo 421)"),
            "");
}

TEST(SmtpClient, defers_the_first_transaction_when_421_answers_its_envelope) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 421 4.3.2 closing
    S: 250 nobody listens
    E: 0.0 transient session rcpt 421 4.3.2
    E: 0.1 transient session rcpt 421 4.3.2
    E: 0 ended
    E: 1 returned
    E: failed transient session rcpt 421 4.3.2 | 421 4.3.2 closing)"),
            "");
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 421 closing
    E: 0.0 transient session mail 421
    E: 0 ended
    E: failed transient session mail 421)"),
            "");
}

TEST(SmtpClient, takes_421_to_the_dot_as_a_transient_verdict_and_returns_the_next) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 421 closing
    E: 0.0 transient session final_dot 421
    E: 0 ended
    E: 1 returned
    E: failed transient session final_dot 421)"),
            "");
}

TEST(SmtpClient, returns_the_next_transaction_when_the_peer_closes_after_so_many_messages) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    O: b@s.example -> y@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 250 queued
    S: 421 enough for one session
    E: 0.0 success recipient final_dot 250
    E: 0 ended
    E: 1 returned
    E: failed transient session mail 421)"),
            "");
}

TEST(SmtpClient, takes_421_in_an_idle_session) {
  EXPECT_EQ(play(R"(
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    G: idle
    S: 421 idle too long
    E: failed transient session idle 421)"),
            "");
}

// ---- Replies out of turn
// ---------------------------------------------------------------------------------

TEST(SmtpClient, ends_the_session_at_a_reply_of_the_wrong_class) {
  const std::string envelope = R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: DATA
    )";
  EXPECT_EQ(play(envelope + R"(
    S: 354 go on
    E: 0.0 transient session mail (3xx where 2xx is due) | 354 go on
    E: 0 ended
    E: failed transient session mail (3xx where 2xx is due) | 354 go on)"),
            "");
  EXPECT_EQ(play(envelope + R"(
    S: 250 ok
    S: 250 ok
    S: 250 thanks
    E: 0.0 transient session data (2xx where 354 is due)
    E: 0 ended
    E: failed transient session data (2xx where 354 is due))"),
            "");
  EXPECT_EQ(play(envelope + R"(
    S: 250 ok
    S: 250 ok
    S: 354 go on
    C: hello
    C: .
    S: 354 go on
    E: 0.0 unknown session final_dot (3xx where 2xx is due)
    E: 0 ended
    E: failed transient session final_dot (3xx where 2xx is due))"),
            "");
}

TEST(SmtpClient, ends_the_session_at_a_reply_that_nobody_asked_for) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    S: 220 mx.example
    E: 0 returned
    E: failed transient session idle (a reply that nobody asked for))",
                 false),
            "");
  EXPECT_EQ(play(R"(
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    S: 250 ok
    E: opened
    E: failed transient session idle (a reply that nobody asked for) | 250 ok)"),
            "");
}

TEST(SmtpClient, ends_the_session_at_garbage) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: HTTP/1.1 400 Bad Request
    E: 0 returned
    E: failed transient host greeting (not an SMTP reply) | HTTP/1.1 400 Bad Request)"),
            "");
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    S: 250-ok
    S: 550 no
    E: 0.0 transient session mail (the reply's lines have different codes) | 550 no
    E: 0 ended
    E: failed transient session mail (the reply's lines have different codes) | 550 no)"),
            "");
}

// ---- fail()
// ------------------------------------------------------------------------------------------------

TEST(SmtpClient, does_not_know_what_became_of_a_message_whose_dot_was_sent) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example y@r.example
    O: b@s.example -> z@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: opened
    C: MAIL FROM:<a@s.example>
    C: RCPT TO:<x@r.example>
    C: RCPT TO:<y@r.example>
    C: DATA
    S: 250 ok
    S: 550 no
    S: 250 ok
    S: 354 go on
    E: 0.0 permanent recipient rcpt 550
    C: hello
    C: .
    C: MAIL FROM:<b@s.example>
    C: RCPT TO:<z@r.example>
    C: DATA
    F: timed out after 600 s
    E: 0.1 unknown session final_dot (timed out after 600 s)
    E: 0 ended
    E: 1 returned
    E: failed transient session final_dot (timed out after 600 s)
    G: idle)"),
            "");
}

TEST(SmtpClient, returns_or_defers_by_what_was_begun_when_the_connection_breaks) {
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    F: connection closed by peer
    E: 0 returned
    E: failed transient host greeting (connection closed by peer))"),
            "");
  EXPECT_EQ(play(R"(
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>
    F: connection closed by peer
    E: 0.0 transient session mail (connection closed by peer)
    E: 0 ended
    E: failed transient session mail (connection closed by peer))"),
            "");
}

TEST(SmtpClient, is_closed_after_the_answer_to_QUIT_and_fails_no_more) {
  EXPECT_EQ(play(R"(
    Q:
    S: 220 mx.example
    C: QUIT
    S: 221 bye
    F: connection closed by peer)"),
            "");
}

}  // namespace
}  // namespace sluice::engine::smtp
