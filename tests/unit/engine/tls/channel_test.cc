#include "engine/tls/channel.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "tests/unit/engine/tls/certificate_files.h"

namespace sluice::engine::tls {
namespace {

ContextPtr server_context(bool is_rsa = false) {
  const CertificateFiles files(is_rsa);
  return *Context::server({files.certificate(), files.key(), ""});
}

/// A client and a server that speak with each other over two wires.
struct Pair {
  explicit Pair(const ContextPtr& of_server = server_context()) : server(of_server) {
    client.start(to_server);
  }

  /// Hands what lies on the wires over, `step` octets at a time, until nothing does.
  void exchange(size_t step = SIZE_MAX) {
    while (!to_server.empty() || !to_client.empty()) {
      pass(server, to_server, at_server, to_client, step);
      pass(client, to_client, at_client, to_server, step);
    }
  }

  static void pass(Channel& to, std::string& wire, std::string& plain, std::string& out,
                   size_t step) {
    const std::string octets = std::exchange(wire, {});
    for (size_t at = 0; at < octets.size(); at += std::min(step, octets.size() - at))
      to.receive(std::as_bytes(std::span(octets).subspan(at, std::min(step, octets.size() - at))),
                 plain, out);
  }

  Channel server;
  Channel client{*Context::client(), {.name = "mx.example"}};
  std::string to_server, to_client;  // on the wire
  std::string at_server, at_client;  // decrypted
};

std::string text(size_t bytes) {
  std::string out(bytes, ' ');
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<char>('a' + i % 23);
  return out;
}

TEST(TlsChannel, carries_octets_both_ways) {
  Pair pair;
  pair.exchange();
  ASSERT_TRUE(pair.server.is_open());
  ASSERT_TRUE(pair.client.is_open());
  EXPECT_EQ(pair.server.description(), pair.client.description());
  EXPECT_TRUE(pair.server.description().starts_with("TLSv1.3 TLS_")) << pair.server.description();
  pair.client.send("MAIL", pair.to_server);
  pair.server.send("250 Ok", pair.to_client);
  EXPECT_EQ(pair.to_server.find("MAIL"), std::string::npos);
  pair.exchange();
  EXPECT_EQ(pair.at_server, "MAIL");
  EXPECT_EQ(pair.at_client, "250 Ok");
}

TEST(TlsChannel, carries_more_than_a_record) {
  Pair pair;
  pair.exchange();
  const std::string content = text(100'000);
  pair.client.send(content, pair.to_server);
  pair.exchange(4096);
  EXPECT_EQ(pair.at_server, content);
}

TEST(TlsChannel, takes_octets_cut_anywhere) {
  const ContextPtr of_server = server_context();
  for (const size_t step : {1, 2, 3, 5, 7, 64, 1000}) {
    Pair pair(of_server);
    pair.exchange(step);
    ASSERT_TRUE(pair.server.is_open()) << step;
    pair.client.send("first", pair.to_server);
    pair.client.send(text(20'000), pair.to_server);
    pair.exchange(step);
    EXPECT_EQ(pair.at_server, "first" + text(20'000)) << step;
  }
}

TEST(TlsChannel, hands_over_what_came_with_the_end_of_a_handshake) {
  Pair pair;
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  Pair::pass(pair.client, pair.to_client, pair.at_client, pair.to_server, SIZE_MAX);
  ASSERT_TRUE(pair.client.is_open());
  pair.client.send("EHLO", pair.to_server);
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_TRUE(pair.server.is_open());
  EXPECT_EQ(pair.at_server, "EHLO");
}

TEST(TlsChannel, was_established_though_all_that_was_said_and_the_end_came_with_its_handshake) {
  Pair pair;
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_FALSE(pair.server.is_established());
  Pair::pass(pair.client, pair.to_client, pair.at_client, pair.to_server, SIZE_MAX);
  pair.client.send("QUIT", pair.to_server);
  pair.client.close(pair.to_server);
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_TRUE(pair.server.is_established());
  EXPECT_EQ(pair.server.state(), Channel::State::ended);
  EXPECT_EQ(pair.at_server, "QUIT");
}

TEST(TlsChannel, speaks_tls_1_2_with_forward_secrecy) {
  for (const bool is_rsa : {false, true}) {
    const ContextPtr older = *Context::client();
    ASSERT_TRUE(SSL_CTX_set_max_proto_version(older->get(), TLS1_2_VERSION));
    Channel server(server_context(is_rsa)), client(older);
    std::string to_server, to_client, plain;
    client.start(to_server);
    while (!to_server.empty() || !to_client.empty()) {
      Pair::pass(server, to_server, plain, to_client, SIZE_MAX);
      Pair::pass(client, to_client, plain, to_server, SIZE_MAX);
    }
    ASSERT_TRUE(server.is_open()) << server.failure();
    EXPECT_TRUE(server.description().starts_with(is_rsa ? "TLSv1.2 TLS_ECDHE_RSA_"
                                                        : "TLSv1.2 TLS_ECDHE_ECDSA_"))
        << server.description();
  }
}

TEST(TlsChannel, refuses_what_is_older_and_says_so) {
  const ContextPtr older = *Context::client();
  ASSERT_TRUE(SSL_CTX_set_min_proto_version(older->get(), TLS1_VERSION));
  ASSERT_TRUE(SSL_CTX_set_max_proto_version(older->get(), TLS1_1_VERSION));
  Channel server(server_context()), client(older);
  std::string to_server, to_client, plain;
  client.start(to_server);
  Pair::pass(server, to_server, plain, to_client, SIZE_MAX);
  EXPECT_EQ(server.state(), Channel::State::failed);
  EXPECT_EQ(server.failure(), "UNSUPPORTED_PROTOCOL");
  Pair::pass(client, to_client, plain, to_server, SIZE_MAX);
  EXPECT_EQ(client.state(), Channel::State::failed);
}

TEST(TlsChannel, tells_an_end_from_a_cut) {
  Pair pair;
  pair.exchange();
  pair.client.send("QUIT", pair.to_server);
  pair.client.close(pair.to_server);
  EXPECT_EQ(pair.client.state(), Channel::State::ended);
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_EQ(pair.at_server, "QUIT");
  EXPECT_EQ(pair.server.state(), Channel::State::ended);
  // It answers once.
  pair.server.close(pair.to_client);
  const size_t answer = pair.to_client.size();
  EXPECT_GT(answer, 0u);
  pair.server.close(pair.to_client);
  EXPECT_EQ(pair.to_client.size(), answer);
  // What comes behind the end is nobody's.
  pair.to_server = "RSET\r\n";
  Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_EQ(pair.at_server, "QUIT");
}

TEST(TlsChannel, fails_on_what_is_no_tls) {
  for (const std::string_view garbage :
       {std::string_view("EHLO client.example\r\n"), std::string_view("GET / HTTP/1.1\r\n\r\n"),
        std::string_view("\x16\x03\x01\xff\xff\0\0\0", 8), std::string_view("\0\0\0\0\0\0", 6)}) {
    Channel server(server_context());
    std::string wire(garbage), plain, out;
    Pair::pass(server, wire, plain, out, SIZE_MAX);
    EXPECT_EQ(server.state(), Channel::State::failed) << garbage;
    EXPECT_FALSE(server.failure().empty());
    EXPECT_EQ(plain, "");
    wire = "more";
    Pair::pass(server, wire, plain, out, SIZE_MAX);
    EXPECT_EQ(server.state(), Channel::State::failed);
    server.close(out);
  }
}

TEST(TlsChannel, does_not_open_when_a_flight_was_changed) {
  // Whatever octet somebody on the way changes: no octet comes out, and the two do not agree.
  const ContextPtr of_server = server_context();
  const size_t hello_bytes = Pair(of_server).to_server.size();
  constexpr size_t version_bytes =
      3;  // of a record: which nobody reads any more (RFC 8446 section 5.1)
  for (size_t place = version_bytes; place < hello_bytes; ++place) {
    Pair pair(of_server);
    pair.to_server[place] = static_cast<char>(pair.to_server[place] ^ (1 << place % 8));
    pair.exchange();
    EXPECT_FALSE(pair.client.is_open() && pair.server.is_open()) << place;
    EXPECT_EQ(pair.at_server + pair.at_client, "") << place;
  }
}

TEST(TlsChannel, outlives_a_handshake_that_stops_anywhere) {
  const ContextPtr of_server = server_context();
  const size_t hello_bytes = Pair(of_server).to_server.size();
  for (size_t bytes = 0; bytes < hello_bytes; bytes += 7) {
    Pair pair(of_server);
    pair.to_server.resize(bytes);
    pair.exchange();
    EXPECT_EQ(pair.server.state(), Channel::State::handshake) << bytes;
    pair.server.close(pair.to_client);
    EXPECT_EQ(pair.to_client, "");
    EXPECT_EQ(pair.server.state(), Channel::State::ended);
  }
}

TEST(TlsChannel, gives_nothing_of_a_record_that_was_changed) {
  const ContextPtr of_server = server_context();
  for (const size_t place : {0u, 3u, 5u, 9u, 20u}) {
    Pair pair(of_server);
    pair.exchange();
    pair.client.send("MAIL FROM:<a@s.example>\r\n", pair.to_server);
    pair.to_server.at(place) = static_cast<char>(pair.to_server[place] ^ 0x41);
    Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
    EXPECT_EQ(pair.at_server, "") << place;
    // A record that says it is longer than it is waits for the rest of it, and goes no further.
    pair.to_server.assign(40'000, 'x');
    Pair::pass(pair.server, pair.to_server, pair.at_server, pair.to_client, SIZE_MAX);
    EXPECT_EQ(pair.server.state(), Channel::State::failed) << place;
    EXPECT_EQ(pair.at_server, "") << place;
  }
}

TEST(TlsChannel, waits_for_the_rest_of_a_record) {
  Pair pair;
  pair.exchange();
  pair.client.send("MAIL", pair.to_server);
  std::string rest = pair.to_server.substr(pair.to_server.size() - 1);
  pair.to_server.pop_back();
  pair.exchange();
  EXPECT_EQ(pair.at_server, "");
  Pair::pass(pair.server, rest, pair.at_server, pair.to_client, SIZE_MAX);
  EXPECT_EQ(pair.at_server, "MAIL");
}

}  // namespace
}  // namespace sluice::engine::tls
