// Handshakes of the TLS channel, client and server of one thread, each side's time by itself; and
// records.
#include <benchmark/benchmark.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "engine/tls/channel.h"
#include "io/check.h"
#include "tests/unit/engine/tls/certificate_files.h"

namespace sluice::engine::tls {
namespace {

enum Side : int64_t { client, server };
enum Key : int64_t { ecdsa, rsa };

struct Stopwatch {
  std::chrono::steady_clock::duration spent{};
  void time(auto&& work) {
    const auto began = std::chrono::steady_clock::now();
    work();
    spent += std::chrono::steady_clock::now() - began;
  }
};

/// A handshake of both, with the server's first words behind it; `session`, if any, is resumed, and
/// replaced by a new one.
void shake_hands(const ContextPtr& of_client, const ContextPtr& of_server,
                 bssl::UniquePtr<SSL_SESSION>& session, Stopwatch (&watch)[2]) {
  std::string to_server, to_client, plain;
  std::optional<Channel> at_client, at_server;
  const auto pass = [&](Channel& to, Side side, std::string& wire, std::string& out) {
    const std::string octets = std::exchange(wire, {});
    watch[side].time([&] { to.receive(std::as_bytes(std::span(octets)), plain, out); });
  };
  watch[client].time([&] {
    at_client.emplace(of_client, Peer{.name = "mx.example"});
    at_client->start(to_server, session.get());
  });
  watch[server].time([&] { at_server.emplace(of_server); });
  while (!to_server.empty() || !to_client.empty()) {
    pass(*at_server, server, to_server, to_client);
    pass(*at_client, client, to_client, to_server);
  }
  CHECK(at_client->is_open() && at_server->is_open());
  watch[server].time([&] { at_server->send("250 mx.example\r\n", to_client); });
  pass(*at_client, client, to_client, to_server);
  CHECK((session != nullptr) == at_client->is_resumed());
  session = at_client->take_session();
  CHECK(session != nullptr);
  for (const Side side : {client, server})
    watch[side].time([&] { (side == client ? at_client : at_server).reset(); });
}

/// Arguments: the certificate's key, whether resumed, whose time.
void handshake(benchmark::State& state) {
  const CertificateFiles files(state.range(0) == rsa);
  const ContextPtr of_server = *Context::server({files.certificate(), files.key(), ""});
  const ContextPtr of_client = *Context::client();
  bssl::UniquePtr<SSL_SESSION> session;
  const bool is_resumed = state.range(1) != 0;
  Stopwatch first[2];
  shake_hands(of_client, of_server, session, first);
  for (auto _ : state) {
    Stopwatch watch[2];
    if (!is_resumed) session.reset();
    shake_hands(of_client, of_server, session, watch);
    state.SetIterationTime(std::chrono::duration<double>(watch[state.range(2)].spent).count());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(handshake)
    ->ArgNames({"rsa", "resumed", "server"})
    ->ArgsProduct({{ecdsa, rsa}, {0, 1}, {client, server}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

/// Octets that a session encrypts: one record of a send block.
void records(benchmark::State& state) {
  const CertificateFiles files;
  Channel at_server(*Context::server({files.certificate(), files.key(), ""})),
      at_client(*Context::client());
  std::string to_server, to_client, plain;
  at_client.start(to_server);
  const auto pass = [&](Channel& to, std::string& wire, std::string& out) {
    const std::string octets = std::exchange(wire, {});
    to.receive(std::as_bytes(std::span(octets)), plain, out);
  };
  while (!to_server.empty() || !to_client.empty()) {
    pass(at_server, to_server, to_client);
    pass(at_client, to_client, to_server);
  }
  const std::string block(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    to_server.clear();
    at_client.send(block, to_server);
    benchmark::DoNotOptimize(to_server.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(records)->Arg(1024)->Arg(16 * 1024 - 256);

}  // namespace
}  // namespace sluice::engine::tls
