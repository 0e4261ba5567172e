#include <gtest/gtest.h>

#include <span>
#include <string>
#include <utility>

#include "engine/tls/channel.h"
#include "tests/unit/engine/tls/certificate_files.h"

namespace sluice::engine::tls {
namespace {

/// Both sides of a connection, up to where nothing more is said.
struct Meeting {
  Meeting(const ContextPtr& of_server, const ContextPtr& of_client, SSL_SESSION* session = nullptr)
      : server(of_server), client(of_client, {.name = "mx.example"}) {
    std::string to_server, to_client, plain;
    client.start(to_server, session);
    while (!to_server.empty() || !to_client.empty()) {
      const std::string at_server = std::exchange(to_server, {});
      server.receive(std::as_bytes(std::span(at_server)), plain, to_client);
      const std::string at_client = std::exchange(to_client, {});
      client.receive(std::as_bytes(std::span(at_client)), plain, to_server);
    }
    if (!server.is_open() || !client.is_open()) return;
    server.send("250 here\r\n", to_client);  // its tickets come along with its first word
    client.receive(std::as_bytes(std::span(to_client)), plain, to_server);
  }
  Channel server, client;
};

struct Sides {
  explicit Sides(bool must_verify, bool trusts) {
    const CertificateFiles files, others;
    server = *Context::server({files.certificate(), files.key(), ""});
    client = *Context::client({.must_verify = must_verify,
                               .authorities = trusts ? files.certificate() : others.certificate()});
  }
  ContextPtr server, client;
};

TEST(TlsClientChannel, takes_any_certificate_and_tells_that_it_is_not_good) {
  const Sides sides(false, false);
  const Meeting meeting(sides.server, sides.client);
  EXPECT_TRUE(meeting.client.is_open());
  EXPECT_FALSE(meeting.client.is_verified());
}

TEST(TlsClientChannel, refuses_a_certificate_that_nobody_vouches_for_where_it_must_verify) {
  const Sides sides(true, false);
  const Meeting meeting(sides.server, sides.client);
  EXPECT_EQ(meeting.client.state(), Channel::State::failed);
  EXPECT_TRUE(meeting.client.failure().starts_with("CERTIFICATE_VERIFY_FAILED: self"))
      << meeting.client.failure();
  EXPECT_EQ(meeting.server.state(), Channel::State::failed) << "it is told";
}

TEST(TlsClientChannel, finds_the_name_in_the_alternative_names_alone) {
  // This certificate has it as its common name.
  const Sides sides(true, true);
  const Meeting meeting(sides.server, sides.client);
  EXPECT_EQ(meeting.client.state(), Channel::State::failed);
  EXPECT_NE(meeting.client.failure().find("ostname mismatch"), std::string::npos)
      << meeting.client.failure();
}

TEST(TlsClientChannel, tells_the_server_who_the_client_is_as_far_as_somebody_vouches_for_it) {
  const CertificateFiles files, mine, others;
  const ContextPtr server =
      *Context::server({files.certificate(), files.key(), mine.certificate()});
  const auto shows = [](const CertificateFiles& own) {
    return *Context::client({.certificate = own.certificate(), .key = own.key()});
  };
  const ContextPtr known = shows(mine);
  Meeting first(server, known);
  EXPECT_TRUE(first.server.is_peer("*"));
  EXPECT_FALSE(first.server.is_peer("mx.example")) << "its alternative names do not have it";
  const auto session = first.client.take_session();
  ASSERT_NE(session, nullptr);
  const Meeting again(server, known, session.get());
  EXPECT_TRUE(again.client.is_resumed());
  EXPECT_TRUE(again.server.is_peer("*"));
  for (const ContextPtr& client : {shows(others), *Context::client()}) {
    const Meeting meeting(server, client);
    EXPECT_TRUE(meeting.client.is_open() && meeting.server.is_open()) << "it is served";
    EXPECT_FALSE(meeting.server.is_peer("*"));
  }
}

TEST(TlsClientChannel, resumes_a_session_that_the_peer_gave) {
  const Sides sides(false, false);
  Meeting first(sides.server, sides.client);
  const auto session = first.client.take_session();
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(first.client.take_session(), nullptr) << "it is handed out once";
  EXPECT_FALSE(first.client.is_resumed());
  const Meeting second(sides.server, sides.client, session.get());
  EXPECT_TRUE(second.client.is_open());
  EXPECT_TRUE(second.client.is_resumed());
  EXPECT_FALSE(second.client.is_verified());
  // A server that knows it no more begins anew.
  const Sides others(false, false);
  const Meeting third(others.server, sides.client, session.get());
  EXPECT_TRUE(third.client.is_open());
  EXPECT_FALSE(third.client.is_resumed());
}

}  // namespace
}  // namespace sluice::engine::tls
