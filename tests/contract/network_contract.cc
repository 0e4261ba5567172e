// Sockets: connect, listen, accept, receive, send, close.
#include "tests/contract/machine.h"

namespace sluice::io::contract {
namespace {

std::string_view text_of(const Completion& completion) {
  return {reinterpret_cast<const char*>(completion.bytes.data()), completion.bytes.size()};
}

}  // namespace

TEST_P(ProactorContract, connect_tells_the_address_it_uses) {
  Machine machine(GetParam());
  const Listen listen = machine.listen();
  Connect connect;
  connect.remote = listen.address;
  ASSERT_EQ(machine.run(connect), 0);
  EXPECT_TRUE(connect.socket.is_open());
  EXPECT_EQ(connect.local.family(), AF_INET);
  EXPECT_TRUE(connect.local.text().starts_with("127.0.0.1:")) << connect.local.text();
  EXPECT_NE(connect.local.port(), 0);
  EXPECT_EQ(machine.close(connect.socket), 0);
  EXPECT_EQ(machine.close(listen.socket), 0);
}

TEST_P(ProactorContract, connect_binds_to_the_local_address_asked_for) {
  Machine machine(GetParam());
  const Listen listen = machine.listen();
  Connect connect;
  connect.remote = listen.address;
  connect.local = *SocketAddress::parse("127.0.0.2:0");
  ASSERT_EQ(machine.run(connect), 0);
  EXPECT_TRUE(connect.local.text().starts_with("127.0.0.2:")) << connect.local.text();
  EXPECT_NE(connect.local.port(), 0);
}

TEST_P(ProactorContract, connect_from_an_address_that_is_not_ours_fails) {
  Machine machine(GetParam());
  const Listen listen = machine.listen();
  Connect connect;
  connect.remote = listen.address;
  connect.local = *SocketAddress::parse("192.0.2.1:0");
  EXPECT_EQ(machine.run(connect), -EADDRNOTAVAIL);
  EXPECT_FALSE(connect.socket.is_open());
}

TEST_P(ProactorContract, connect_where_nobody_listens_is_refused) {
  Machine machine(GetParam());
  const Listen listen = machine.listen();
  ASSERT_EQ(machine.close(listen.socket), 0);
  Connect connect;
  connect.remote = listen.address;
  EXPECT_EQ(machine.run(connect), -ECONNREFUSED);
  EXPECT_FALSE(connect.socket.is_open());
}

TEST_P(ProactorContract, cancel_ends_a_connect_that_gets_no_answer) {
  Machine machine(GetParam());
  Recorded<Connect> connect;
  connect.op.remote = machine.world().black_hole();
  machine[0].submit(connect.op);
  machine.pass(20ms);
  ASSERT_TRUE(connect.op.in_flight);
  machine[0].cancel(connect.op);
  ASSERT_TRUE(machine.until([&] { return connect.end.has_value(); }));
  EXPECT_EQ(connect.end, -ECANCELED);
  EXPECT_FALSE(connect.op.socket.is_open());
}

TEST_P(ProactorContract, listening_twice_on_one_address_fails_unless_both_share_it) {
  Machine machine(GetParam(), 2);
  const Listen first = machine.listen();
  Listen second;
  second.address = first.address;
  EXPECT_EQ(machine.run(second, 1), -EADDRINUSE);
  EXPECT_FALSE(second.socket.is_open());

  Listen shared;
  shared.address = *SocketAddress::parse("127.0.0.1:0");
  shared.reuse_port = true;
  ASSERT_EQ(machine.run(shared), 0);
  Listen sharing;
  sharing.address = shared.address;
  sharing.reuse_port = true;
  EXPECT_EQ(machine.run(sharing, 1), 0);
}

TEST_P(ProactorContract, accept_hands_over_every_connection_until_cancelled) {
  Machine machine(GetParam());
  const Listen listen = machine.listen();
  Recorded<Accept> accept;
  accept.op.listener = listen.socket;
  machine[0].submit(accept.op);
  for (size_t count = 1; count <= 5; ++count) {
    Connect connect;
    connect.remote = listen.address;
    ASSERT_EQ(machine.run(connect), 0);
    ASSERT_TRUE(machine.until([&] { return accept.sockets.size() == count; }));
  }
  EXPECT_TRUE(accept.op.in_flight);
  machine[0].cancel(accept.op);
  ASSERT_TRUE(machine.until([&] { return accept.end.has_value(); }));
  EXPECT_EQ(accept.end, -ECANCELED);
  EXPECT_EQ(accept.results, std::vector<int32_t>(5, 0));

  // What connects meanwhile waits for the next accept.
  Connect connect;
  connect.remote = listen.address;
  ASSERT_EQ(machine.run(connect), 0);
  Recorded<Accept> again;
  again.op.listener = listen.socket;
  machine[0].submit(again.op);
  EXPECT_TRUE(machine.until([&] { return again.sockets.size() == 1; }));
  machine.stop(again);
}

TEST_P(ProactorContract, octets_arrive_in_order_whole_and_then_the_end) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  Recorded<Receive> receive;
  receive.op.socket = server;
  machine[0].submit(receive.op);
  std::string sent;
  for (size_t size : {1u, 2u, 100u, 4095u, 4096u, 4097u, 70'000u}) {
    const std::string part = pattern(size);
    ASSERT_EQ(machine.send(client, part), static_cast<int32_t>(size));
    sent += part;
  }
  ASSERT_TRUE(machine.until([&] { return receive.bytes.size() == sent.size(); }));
  EXPECT_EQ(receive.bytes, sent);
  EXPECT_FALSE(receive.end.has_value());
  EXPECT_EQ(machine.close(client), 0);
  ASSERT_TRUE(machine.until([&] { return receive.end.has_value(); }));
  EXPECT_EQ(receive.end, 0);
  EXPECT_EQ(receive.bytes, sent);
  EXPECT_EQ(machine.close(server), 0);
}

TEST_P(ProactorContract, cancelling_a_receive_loses_no_octet) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  const std::string text = pattern(300'000);
  Recorded<Send> send;
  send.op.socket = client;
  send.op.bytes = std::as_bytes(std::span(text));
  machine[0].submit(send.op);
  std::string received;
  for (unsigned round = 0; received.size() < text.size(); ++round) {
    ASSERT_LT(round, 1000u);
    Recorded<Receive> receive;
    receive.op.socket = server;
    machine[0].submit(receive.op);
    machine[0].wait(machine[0].now() + 1ms, round % 4);
    if (receive.op.in_flight) machine[0].cancel(receive.op);
    ASSERT_TRUE(machine.until([&] { return receive.end.has_value(); }));
    EXPECT_EQ(receive.end, -ECANCELED);
    received += receive.bytes;
  }
  EXPECT_EQ(received, text);
  ASSERT_TRUE(machine.until([&] { return send.end.has_value(); }));
}

TEST_P(ProactorContract, five_megabytes_reach_a_slow_reader) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  const std::string text = pattern(5'000'000);
  Recorded<Send> send;
  send.op.socket = client;
  send.op.bytes = std::as_bytes(std::span(text));
  machine[0].submit(send.op);
  std::string received;
  while (received.size() < text.size()) {
    // Stops reading again and again, so that the sender finds the way full.
    Recorded<Receive> receive;
    receive.op.socket = server;
    machine[0].submit(receive.op);
    ASSERT_TRUE(machine.until([&] {
      return receive.bytes.size() > 500'000 ||
             received.size() + receive.bytes.size() == text.size();
    }));
    machine.stop(receive);
    received += receive.bytes;
    machine.pass(1ms);
  }
  EXPECT_TRUE(received == text);
  ASSERT_TRUE(machine.until([&] { return send.end.has_value(); }));
  EXPECT_EQ(send.end, 5'000'000);
  EXPECT_EQ(send.completions, 1u);
}

TEST_P(ProactorContract, cancel_ends_a_send_to_a_peer_that_does_not_read) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  const std::string text(64 << 20, 'x');
  Recorded<Send> send;
  send.op.socket = client;
  send.op.bytes = std::as_bytes(std::span(text));
  machine[0].submit(send.op);
  machine.pass(50ms);
  ASSERT_TRUE(send.op.in_flight);
  machine[0].cancel(send.op);
  ASSERT_TRUE(machine.until([&] { return send.end.has_value(); }));
  EXPECT_EQ(send.end, -ECANCELED);
  EXPECT_EQ(machine.close(client), 0);
  EXPECT_EQ(machine.close(server), 0);
}

TEST_P(ProactorContract, cancel_ends_a_receive_on_a_silent_connection) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  Recorded<Receive> receive;
  receive.op.socket = client;
  machine[0].submit(receive.op);
  machine.pass(1ms);
  machine[0].cancel(receive.op);
  ASSERT_TRUE(machine.until([&] { return receive.end.has_value(); }));
  EXPECT_EQ(receive.end, -ECANCELED);
  EXPECT_EQ(receive.completions, 1u);
}

TEST_P(ProactorContract, sending_nothing_completes_with_nothing) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  EXPECT_EQ(machine.send(client, ""), 0);
}

TEST_P(ProactorContract, closing_with_octets_unread_resets_the_peer) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  ASSERT_EQ(machine.send(client, "unread"), 6);
  Recorded<Receive> receive;
  receive.op.socket = client;
  machine[0].submit(receive.op);
  ASSERT_EQ(machine.close(server), 0);
  ASSERT_TRUE(machine.until([&] { return receive.end.has_value(); }));
  EXPECT_EQ(receive.end, -ECONNRESET);
}

TEST_P(ProactorContract, octets_sent_before_a_close_still_arrive) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  ASSERT_EQ(machine.send(server, "554 go away\r\n"), 13);
  ASSERT_EQ(machine.close(server), 0);
  machine.pass(1ms);
  Recorded<Receive> receive;
  receive.op.socket = client;
  machine[0].submit(receive.op);
  ASSERT_TRUE(machine.until([&] { return receive.end.has_value(); }));
  EXPECT_EQ(receive.bytes, "554 go away\r\n");
  EXPECT_EQ(receive.end, 0);
}

TEST_P(ProactorContract, sending_to_a_peer_that_has_closed_fails_in_the_end) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  ASSERT_EQ(machine.close(server), 0);
  int32_t result = 0;
  for (int i = 0; i < 100 && result >= 0; ++i) {
    result = machine.send(client, "MAIL FROM:<>\r\n");
    machine.pass(1ms);
  }
  EXPECT_TRUE(result == -EPIPE || result == -ECONNRESET) << result;
}

TEST_P(ProactorContract, a_send_may_be_submitted_again_from_within_its_completion) {
  Machine machine(GetParam());
  const auto [client, server] = machine.connect(machine.listen());
  struct Chain {
    void completed(Send&, const Completion& completion) {
      CHECK(completion.result == 3);
      if (++rounds < 200) proactor.submit(op);
    }
    Proactor& proactor;
    Send op{};
    int rounds = 0;
  } chain{machine[0]};
  chain.op.bind<&Chain::completed>(&chain);
  chain.op.socket = client;
  chain.op.bytes = std::as_bytes(std::span("abc", 3));
  Recorded<Receive> receive;
  receive.op.socket = server;
  machine[0].submit(receive.op);
  machine[0].submit(chain.op);
  ASSERT_TRUE(machine.until([&] { return receive.bytes.size() == 600; }));
  EXPECT_EQ(chain.rounds, 200);
  machine.stop(receive);
}

namespace {

/// Sends a line, gets it back from an echo, closes.
struct Caller {
  explicit Caller(Proactor& p, const SocketAddress& remote, unsigned number)
      : proactor(p), line(std::to_string(number) + "\r\n") {
    connect.remote = remote;
    connect.bind<&Caller::connected>(this);
    send.bind<&Caller::sent>(this);
    receive.bind<&Caller::received>(this);
    close.bind<&Caller::closed>(this);
    proactor.submit(connect);
  }
  void connected(Connect&, const Completion& completion) {
    CHECK(completion.result == 0);
    send.socket = receive.socket = close.socket = connect.socket;
    send.bytes = std::as_bytes(std::span(line));
    proactor.submit(send);
    proactor.submit(receive);
  }
  void sent(Send&, const Completion& completion) {
    CHECK(completion.result == static_cast<int32_t>(line.size()));
  }
  void received(Receive&, const Completion& completion) {
    echo += text_of(completion);
    if (completion.more && echo.size() == line.size()) proactor.cancel(receive);
    if (!completion.more) proactor.submit(close);
  }
  void closed(CloseSocket&, const Completion& completion) { done = completion.result == 0; }

  Proactor& proactor;
  std::string line, echo;
  Connect connect;
  Send send;
  Receive receive;
  CloseSocket close;
  bool done = false;
};

struct Echo {
  Echo(Proactor& p, Socket socket) : proactor(p) {
    send.socket = receive.socket = close.socket = socket;
    send.bind<&Echo::sent>(this);
    receive.bind<&Echo::received>(this);
    close.bind<&Echo::closed>(this);
    proactor.submit(receive);
  }
  void received(Receive&, const Completion& completion) {
    if (!completion.more) return end();
    text += text_of(completion);
    if (!send.in_flight) next();
  }
  void sent(Send&, const Completion&) {
    if (!text.empty()) return next();
    if (ended) end();
  }
  void next() {
    sending = std::exchange(text, {});
    send.bytes = std::as_bytes(std::span(sending));
    proactor.submit(send);
  }
  void end() {
    ended = true;
    if (!send.in_flight) proactor.submit(close);
  }
  void closed(CloseSocket&, const Completion& completion) { done = completion.result == 0; }

  Proactor& proactor;
  Receive receive;
  Send send;
  CloseSocket close;
  std::string text, sending;
  bool ended = false, done = false;
};

struct EchoServer {
  EchoServer(Proactor& p, Socket listener) : proactor(p) {
    accept.listener = listener;
    accept.bind<&EchoServer::accepted>(this);
    proactor.submit(accept);
  }
  void accepted(Accept&, const Completion& completion) {
    if (completion.result == 0) echoes.push_back(std::make_unique<Echo>(proactor, accept.socket));
  }
  Proactor& proactor;
  Accept accept;
  std::vector<std::unique_ptr<Echo>> echoes;
};

}  // namespace

TEST_P(ProactorContract, a_thousand_connections_at_once_each_get_their_own_octets) {
  Machine machine(GetParam(), 2);
  const Listen listen = machine.listen(1);
  EchoServer server(machine[1], listen.socket);
  std::vector<std::unique_ptr<Caller>> callers;
  for (unsigned i = 0; i < 1000; ++i)
    callers.push_back(std::make_unique<Caller>(machine[0], listen.address, i));
  ASSERT_TRUE(machine.until([&] {
    return std::ranges::all_of(callers, [](const auto& caller) { return caller->done; }) &&
           std::ranges::all_of(server.echoes, [](const auto& echo) { return echo->done; });
  }));
  for (const auto& caller : callers) EXPECT_EQ(caller->echo, caller->line);
  EXPECT_EQ(server.echoes.size(), callers.size());
  EXPECT_EQ(machine[0].in_flight(), 0u);
  machine[1].cancel(server.accept);
  ASSERT_TRUE(machine.until([&] { return machine[1].in_flight() == 0; }));
}

}  // namespace sluice::io::contract
