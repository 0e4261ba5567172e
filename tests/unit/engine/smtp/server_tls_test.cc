#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/mail/base64.h"
#include "engine/smtp/server.h"
#include "tests/unit/engine/smtp/server_dialogue.h"

namespace sluice::engine::smtp {
namespace {

std::string base64(std::string_view octets) {
  std::string out;
  mail::append_base64(out, octets);
  return out;
}

/// Under TLS, behind EHLO.
std::string secured(std::string_view rest) { return fmt::format("T:\nH:\n{}", rest); }

// ---- STARTTLS

TEST(SmtpServerTls, begins_the_session_anew) {
  EXPECT_EQ(play_server(R"(
    H:
    C: STARTTLS
    E: starttls
    S: 220 2.0.0 Begin TLS
    C: MAIL FROM:<a@s.example>
    S: 503 5.5.1 EHLO first
    C: EHLO c.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250-AUTH PLAIN LOGIN
    S: 250-REQUIRETLS
    S: 250-ETRN
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250-DSN
    S: 250-CHUNKING
    S: 250 LIMITS RCPTMAX=3 MAILMAX=1000
    C: STARTTLS
    S: 503 5.5.1 TLS is active)"),
            "");
}

TEST(SmtpServerTls, hangs_up_when_octets_lie_behind_starttls) {
  EXPECT_EQ(play_server(R"(
    H:
    C: STARTTLS
    C: RSET
    S: 501 5.5.1 Nothing may follow STARTTLS before its reply
    E: closed)",
                        dialogue_options(), true),
            "");
  EXPECT_EQ(play_server(R"(
    H:
    C: STARTTLS
    c: M
    S: 501 5.5.1 Nothing may follow STARTTLS before its reply
    E: closed)",
                        dialogue_options(), true),
            "");
}

TEST(SmtpServerTls, may_be_put_off) {
  EXPECT_EQ(play_server(R"(
    C: STARTTLS
    S: 503 5.5.1 Not now
    H:
    C: STARTTLS now
    S: 501 5.5.4 Bad argument
    A: starttls 454 4.7.0 No TLS just now
    C: STARTTLS
    E: starttls
    S: 454 4.7.0 No TLS just now
    C: MAIL FROM:<a@s.example>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)"),
            "");
}

TEST(SmtpServerTls, shows_in_the_name_of_the_protocol) {
  const ServerOptions options = dialogue_options();
  Server server(options);
  std::string out;
  const auto say = [&](std::string_view text) {
    auto input = std::as_bytes(std::span(text));
    while (server.next(input, out) != Server::Event::needs_input)
      if (server.is_owed()) server.answer(out);
  };
  server.greet(out);
  say("HELO c\r\n");
  EXPECT_EQ(server.protocol(), "SMTP");
  say("EHLO c\r\n");
  EXPECT_EQ(server.protocol(), "ESMTP");
  auto input = std::as_bytes(std::span(std::string_view("STARTTLS\r\n")));
  EXPECT_EQ(server.next(input, out), Server::Event::starttls);
  server.answer(out);
  server.tls_started();
  EXPECT_EQ(server.client_name(), "");
  say("EHLO c\r\n");
  EXPECT_EQ(server.protocol(), "ESMTPS");
  say("AUTH PLAIN " + base64(std::string_view("\0u\0p", 4)) + "\r\n");
  EXPECT_EQ(server.protocol(), "ESMTPSA");
  EXPECT_EQ(server.user(), "u");
  say("MAIL FROM:<> SMTPUTF8\r\n");
  EXPECT_EQ(server.protocol(), "UTF8SMTPSA");
}

TEST(SmtpServerTls, takes_mail_that_requires_tls_under_tls_only) {
  EXPECT_EQ(play_server(R"(
    H:
    C: MAIL FROM:<a@s.example> REQUIRETLS
    S: 555 5.5.4 Parameter not offered)"),
            "");
  EXPECT_EQ(play_server(secured(R"(
    C: MAIL FROM:<a@s.example> REQUIRETLS=yes
    S: 501 5.5.4 REQUIRETLS has no value
    C: MAIL FROM:<a@s.example> requiretls
    E: mail <a@s.example>
    S: 250 2.1.0 Ok)")),
            "");
}

// ---- AUTH

TEST(SmtpServerAuth, is_refused_without_tls) {
  EXPECT_EQ(play_server(R"(
    H:
    C: AUTH PLAIN AHUAcA==
    S: 538 5.7.11 Passwords only under TLS
    C: AUTH LOGIN
    S: 538 5.7.11 Passwords only under TLS)"),
            "");
}

TEST(SmtpServerAuth, takes_plain_with_and_without_an_initial_response) {
  const std::string code = base64(std::string_view("\0joe\0secret", 11));
  EXPECT_EQ(play_server(secured(fmt::format(R"(
    C: auth plain {}
    E: auth joe:secret
    S: 235 2.7.0 Authenticated
    C: AUTH PLAIN {}
    S: 503 5.5.1 You are authenticated)",
                                            code, code))),
            "");
  EXPECT_EQ(play_server(secured(fmt::format("C: AUTH PLAIN\nS: 334 \nC: {}\nE: auth joe:secret\n"
                                            "S: 235 2.7.0 Authenticated\n",
                                            code))),
            "");
  EXPECT_EQ(play_server(secured(fmt::format("C: AUTH PLAIN {}\nE: auth joe:secret\n"
                                            "S: 235 2.7.0 Authenticated\n",
                                            base64(std::string_view("joe\0joe\0secret", 14))))),
            "");
}

TEST(SmtpServerAuth, takes_login_with_and_without_an_initial_response) {
  EXPECT_EQ(play_server(secured(fmt::format(R"(
    A: auth 535 5.7.8 Wrong
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: {0}
    S: 334 UGFzc3dvcmQ6
    C: {1}
    E: auth joe:secret
    S: 535 5.7.8 Wrong
    C: AUTH LOGIN {0}
    S: 334 UGFzc3dvcmQ6
    C: {1}
    E: auth joe:secret
    S: 235 2.7.0 Authenticated)",
                                            base64("joe"), base64("secret")))),
            "");
}

TEST(SmtpServerAuth, is_cancelled_by_a_star) {
  EXPECT_EQ(play_server(secured(R"(
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: *
    S: 501 5.7.0 Authentication cancelled
    C: NOOP
    S: 250 2.0.0 Ok)")),
            "");
}

class SmtpServerAuthResponse : public testing::TestWithParam<std::pair<std::string, std::string>> {
};

TEST_P(SmtpServerAuthResponse, that_is_bad_is_refused_before_anybody_is_asked) {
  EXPECT_EQ(play_server(secured(fmt::format(R"(
    C: AUTH PLAIN {}
    S: {}
    C: NOOP
    S: 250 2.0.0 Ok)",
                                            GetParam().first, GetParam().second))),
            "");
}

constexpr const char* no_response = "501 5.5.2 That is no such response";
constexpr const char* invalid = "535 5.7.8 Authentication credentials invalid";

INSTANTIATE_TEST_SUITE_P(
    Plain, SmtpServerAuthResponse,
    testing::Values(std::pair("=", no_response), std::pair("AHUAcA", no_response),
                    std::pair("AHUAcA=", no_response), std::pair("AH=AcA==", no_response),
                    std::pair("AHUA!A==", no_response), std::pair("AHUAcA== x", no_response),
                    std::pair(base64("u p"), no_response),
                    std::pair(base64(std::string_view("\0u", 2)), no_response),
                    std::pair(base64(std::string_view("\0u\0", 3)), invalid),
                    std::pair(base64(std::string_view("\0\0p", 3)), invalid),
                    std::pair(base64(std::string_view("\0u\0p\0q", 6)), invalid),
                    std::pair(base64(std::string_view("v\0u\0p", 5)), invalid),
                    std::pair(base64(std::string_view("\0u\nv\0p", 6)), invalid),
                    std::pair(base64(std::string_view("\0\xff\0p", 4)), invalid)));

TEST(SmtpServerAuth, knows_no_other_mechanism) {
  EXPECT_EQ(play_server(secured(R"(
    C: AUTH CRAM-MD5
    S: 504 5.5.4 No such mechanism; PLAIN and LOGIN are offered
    C: AUTH
    S: 501 5.5.4 AUTH needs a mechanism)")),
            "");
}

TEST(SmtpServerAuth, has_no_place_in_a_transaction_or_before_ehlo) {
  EXPECT_EQ(play_server(R"(
    T:
    C: AUTH LOGIN
    S: 503 5.5.1 Not now
    C: HELO c
    S: 250 mx.example
    C: AUTH LOGIN
    S: 503 5.5.1 Not now
    H:
    C: MAIL FROM:<a@s.example> AUTH=<>
    E: mail <a@s.example>
    S: 250 2.1.0 Ok
    C: AUTH LOGIN
    S: 503 5.5.1 Not now)"),
            "");
}

TEST(SmtpServerAuth, ends_with_a_line_that_is_none) {
  EXPECT_EQ(play_server(secured("C: AUTH PLAIN\nS: 334 \nC: " +
                                std::string(AuthExchange::line_bytes_max - 1, 'A') + R"(
    S: 500 5.5.6 Response too long
    C: AUTH PLAIN
    S: 334 
    c: AHUAcA==\n
    S: 500 5.5.2 Bare line feed: lines end in CR LF
    C: NOOP
    S: 250 2.0.0 Ok)"),
                        dialogue_options(), true),
            "");
}

TEST(SmtpServerAuth, counts_wrong_passwords_as_errors) {
  std::string script;
  for (unsigned i = 0; i < Server::errors_max; ++i)
    script += "A: auth 535 5.7.8 Wrong\nC: AUTH PLAIN AHUAcA==\nE: auth u:p\nS: 535 5.7.8 Wrong\n";
  EXPECT_EQ(play_server(secured(script + R"(
    A: auth 535 5.7.8 Wrong
    C: AUTH PLAIN AHUAcA==
    E: auth u:p
    S: 421 4.7.0 Too many errors
    E: closed)"),
                        dialogue_options(), true),
            "");
}

TEST(SmtpServerAuth, lets_the_password_check_fail_for_now_without_blame) {
  EXPECT_EQ(play_server(secured(R"(
    A: auth 454 4.7.0 Not just now
    C: AUTH PLAIN AHUAcA==
    E: auth u:p
    S: 454 4.7.0 Not just now
    C: AUTH PLAIN AHUAcA==
    E: auth u:p
    S: 235 2.7.0 Authenticated)")),
            "");
}

}  // namespace
}  // namespace sluice::engine::smtp
