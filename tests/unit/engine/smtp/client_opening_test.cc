#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "engine/mail/base64.h"
#include "engine/smtp/client.h"
#include "tests/unit/engine/smtp/dialogue.h"
#include "tests/unit/engine/smtp/event_recorder.h"

namespace sluice::engine::smtp {
namespace {

// ---- STARTTLS (RFC 3207) ------------------------------------------------------------------------

TEST(SmtpClientOpening, greets_again_under_tls_and_forgets_what_was_offered_before) {
  EXPECT_EQ(play(R"(
    L: if-offered
    O: a@s.example -> x@r.example ; size=9
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250-SIZE 5
    S: 250 STARTTLS
    C: STARTTLS
    G: starttls
    S: 220-ready when
    S: 220 you are
    G: starttls
    T: started
    G: ehlo
    C: EHLO me.example
    S: 250-mx.example
    S: 250 STARTTLS
    E: opened
    C: MAIL FROM:<a@s.example>
    G: mail)"),
            "");
}

TEST(SmtpClientOpening, what_requires_tls_goes_to_a_proven_server_that_requires_it_too) {
  const auto with = [](std::string_view started, std::string_view offered, std::string_view then) {
    return play(fmt::format(
        "L: if-offered\nO: a@s.example -> x@r.example ; requiretls\nS: 220 mx\nC: EHLO me.example\n"
        "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 ready\nT: {}\nC: EHLO me.example\n"
        "S: 250-mx\nS: 250 {}\nE: opened\n{}",
        started, offered, then));
  };
  EXPECT_EQ(with("authenticated", "REQUIRETLS", "C: MAIL FROM:<a@s.example> REQUIRETLS"), "");
  EXPECT_EQ(
      with("authenticated", "SIZE",
           "E: 0.0 permanent message mail 5.7.30 (server does not offer REQUIRETLS)\nE: 0 ended"),
      "");
  EXPECT_EQ(with("started", "REQUIRETLS",
                 "E: 0.0 permanent message mail 5.7.30 (message requires TLS with a server whose "
                 "identity is proven)\nE: 0 ended"),
            "");
  EXPECT_EQ(play("O: a@s.example -> x@r.example ; requiretls\nS: 220 mx\nC: EHLO me.example\n"
                 "S: 250-mx\nS: 250 REQUIRETLS\nE: opened\n"
                 "E: 0.0 permanent message mail 5.7.30 (message requires TLS with a server whose "
                 "identity is proven)\nE: 0 ended"),
            "");
}

TEST(SmtpClientOpening, falls_back_to_helo_under_tls) {
  EXPECT_EQ(play(R"(
    L: demanded
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 ready
    T: started
    C: EHLO me.example
    S: 500 what?
    C: HELO me.example
    S: 250 mx.example
    E: opened)"),
            "");
}

TEST(SmtpClientOpening, goes_on_in_the_clear_where_tls_is_not_offered_or_refused) {
  EXPECT_EQ(play(R"(
    L: if-offered
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250 mx.example
    E: opened
    C: MAIL FROM:<a@s.example>)"),
            "");
  for (const char* refusal : {"454 4.7.0 not now", "502 what?"}) {
    EXPECT_EQ(play(fmt::format(R"(
    L: if-offered
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250-SIZE 100
    S: 250 STARTTLS
    C: STARTTLS
    S: {}
    E: opened
    C: MAIL FROM:<a@s.example>)",
                               refusal)),
              "");
  }
}

TEST(SmtpClientOpening, says_nothing_in_the_clear_where_tls_is_demanded) {
  EXPECT_EQ(play(R"(
    L: demanded
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 PIPELINING
    E: 0 returned
    E: failed transient host starttls (server does not offer STARTTLS))"),
            "");
  EXPECT_EQ(play(R"(
    L: demanded
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 500 what?
    C: HELO me.example
    S: 250 mx.example
    E: 0 returned
    E: failed transient host starttls (server does not offer STARTTLS))"),
            "");
  EXPECT_EQ(play(R"(
    L: demanded
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 STARTTLS
    C: STARTTLS
    S: 454 4.7.0 not now
    E: 0 returned
    E: failed transient host starttls 454 4.7.0 | 454 4.7.0 not now)"),
            "");
}

TEST(SmtpClientOpening, takes_421_and_nonsense_for_what_they_are) {
  for (const char* mode : {"if-offered", "demanded"}) {
    const auto after_starttls = [&](const char* reply, const char* verdict) {
      return play(
          fmt::format("L: {}\nS: 220 mx\nC: EHLO me.example\nS: 250-mx\nS: 250 STARTTLS\n"
                      "C: STARTTLS\nS: {}\nE: failed transient host starttls {}",
                      mode, reply, verdict));
    };
    EXPECT_EQ(after_starttls("421 closing", "421"), "");
    EXPECT_EQ(after_starttls("354 go on", "(3xx where 2xx is due)"), "");
  }
}

TEST(SmtpClientOpening, fails_in_the_phase_of_the_handshake) {
  EXPECT_EQ(play(R"(
    L: if-offered
    O: a@s.example -> x@r.example
    S: 220 mx.example
    C: EHLO me.example
    S: 250-mx.example
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 ready
    F: TLS handshake failed
    E: 0 returned
    E: failed transient host starttls (TLS handshake failed))"),
            "");
}

/// However the octets are cut, what stands behind the 220 in the clear is never taken for the
/// peer's: it ends the session here, or goes into the handshake and ends that.
TEST(SmtpClientOpening, takes_nothing_that_was_put_behind_the_reply_to_starttls) {
  const std::string granted = "220 ready\r\n", injected = "250 mx.example\r\n250 ok\r\n";
  for (size_t cut = 0; cut <= granted.size() + injected.size(); ++cut) {
    EventRecorder recorder;
    Client client("me.example", recorder, {.tls = Opening::Tls::if_offered});
    std::array<char, 4096> out;
    for (const std::string_view said : {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n"}) {
      client.receive(said);
      ASSERT_GT(client.produce(out), 0u);
    }
    const std::string all = granted + injected;
    client.receive(std::string_view(all).substr(0, cut));
    if (cut < granted.size()) client.receive(std::string_view(all).substr(cut));
    EXPECT_EQ(client.produce(out), 0u);
    if (cut == granted.size()) {
      EXPECT_TRUE(client.awaits_tls());
      EXPECT_TRUE(recorder.events.empty());
      continue;
    }
    ASSERT_EQ(recorder.events.size(), 1u) << cut;
    EXPECT_EQ(recorder.events[0].line,
              "failed transient host starttls (plaintext behind the reply to STARTTLS)");
    EXPECT_TRUE(client.is_closed());
  }
}

// ---- AUTH (RFC 4954) ----------------------------------------------------------------------------

constexpr std::string_view up_to_tls =
    "L: demanded login\nS: 220 mx\nC: EHLO me.example\nS: 250-mx\nS: 250-AUTH PLAIN\nS: 250 "
    "STARTTLS\n"
    "C: STARTTLS\nS: 220 ready\nT: started\nC: EHLO me.example\n";

TEST(SmtpClientOpening, logs_in_with_plain) {
  EXPECT_EQ(play(std::string(up_to_tls) + R"(
    S: 250-mx
    S: 250 AUTH LOGIN PLAIN
    C: AUTH PLAIN AHVzZXIAcGVuY2ls
    G: auth
    S: 235 2.7.0 yes
    E: opened)"),
            "");
}

TEST(SmtpClientOpening, logs_in_with_login) {
  EXPECT_EQ(play(std::string(up_to_tls) + R"(
    S: 250-mx
    S: 250 AUTH CRAM-MD5 LOGIN
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: dXNlcg==
    S: 334 UGFzc3dvcmQ6
    C: cGVuY2ls
    S: 235 2.7.0 yes
    E: opened)"),
            "");
}

TEST(SmtpClientOpening, tells_why_no_login_came_about) {
  const auto with = [](const std::string& rest) { return play(std::string(up_to_tls) + rest); };
  EXPECT_EQ(with("S: 250-mx\nS: 250 AUTH CRAM-MD5\nE: failed transient host auth (server offers no "
                 "SCRAM-SHA-256, PLAIN or LOGIN)"),
            "");
  EXPECT_EQ(with("S: 250 mx\nE: failed transient host auth (server offers no SCRAM-SHA-256, PLAIN "
                 "or LOGIN)"),
            "");
  EXPECT_EQ(with("S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 535 5.7.8 no\n"
                 "E: failed permanent host auth 535 5.7.8"),
            "");
  EXPECT_EQ(with("S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 334 more\n"
                 "E: failed transient host auth (a challenge more than the mechanism has)"),
            "");
  // What says that it is a server of SCRAM, and does not know the password.
  EXPECT_EQ(
      play("L: if-offered login\nS: 220 mx\nC: EHLO me.example\nS: 250-mx\nS: 250 AUTH PLAIN\n"
           "E: failed transient host auth (a password is sent under TLS only)"),
      "");
}

/// A session with SCRAM up to the server's first message, whose nonce continues ours.
struct ScramSession {
  ScramSession() {
    for (const std::string_view said :
         {"220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n", "220 ready\r\n"})
      say(said);
    client.tls_started(true);
    pump();
    say("250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n");
    constexpr std::string_view before = "AUTH SCRAM-SHA-256 ";
    first = mail::decode_base64(last.substr(before.size(), last.size() - before.size() - 2));
  }
  void say(std::string_view octets) {
    client.receive(octets);
    pump();
  }
  void pump() {
    last.clear();
    std::array<char, Client::produce_bytes_min> out;
    while (const size_t n = client.produce(out)) last.append(out.data(), n);
  }
  static std::string challenge(std::string_view message) {
    std::string line = "334 ";
    mail::append_base64(line, message);
    return line + "\r\n";
  }

  const Credentials credentials{"user", "pencil"};
  EventRecorder recorder;
  Client client{"me.example",
                recorder,
                {.tls = Opening::Tls::demanded, .login = &credentials, .nonce = {1, 2}}};
  std::string last, first;
};

TEST(SmtpClientOpening, does_not_believe_a_server_that_proves_nothing) {
  ScramSession session;
  const std::string nonce = session.first.substr(session.first.find("r=") + 2);
  EXPECT_EQ(session.first, "n,,n=user,r=00000000000000010000000000000002");
  session.say(ScramSession::challenge("r=" + nonce + "theirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
  EXPECT_TRUE(mail::decode_base64(session.last).starts_with("c=biws,r=" + nonce + "theirs,p="));
  session.say("235 2.7.0 yes\r\n");
  ASSERT_EQ(session.recorder.events.size(), 1u);
  EXPECT_EQ(session.recorder.events[0].line,
            "failed transient host auth (granted without a proof that the server knows the "
            "password)");
}

TEST(SmtpClientOpening, refuses_challenges_that_are_a_trap) {
  const auto verdict = [](const auto& message) {
    ScramSession session;
    session.say(
        ScramSession::challenge(message(session.first.substr(session.first.find("r=") + 2))));
    EXPECT_EQ(session.last, "");
    return session.recorder.events.empty() ? "none" : session.recorder.events[0].line;
  };
  EXPECT_EQ(verdict([](const std::string& n) { return "r=" + n + "x,s=AAAA,i=4095"; }),
            "failed transient host auth (a SCRAM challenge with too few or too many iterations)");
  EXPECT_EQ(verdict([](const std::string& n) { return "r=" + n + "x,s=AAAA,i=2000000000"; }),
            "failed transient host auth (a SCRAM challenge with too few or too many iterations)");
  EXPECT_EQ(verdict([](const std::string& n) { return "r=x" + n + ",s=AAAA,i=4096"; }),
            "failed transient host auth (a SCRAM challenge to somebody else)");
  EXPECT_EQ(verdict([](const std::string& n) { return "r=" + n + ",s=AAAA,i=4096"; }),
            "failed transient host auth (a SCRAM challenge to somebody else)");
  EXPECT_EQ(verdict([](const std::string&) { return std::string("hello"); }),
            "failed transient host auth (a SCRAM challenge that is none)");
}

}  // namespace
}  // namespace sluice::engine::smtp
