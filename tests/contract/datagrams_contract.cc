// Sockets that send and receive datagrams.
#include "tests/contract/machine.h"

namespace sluice::io::contract {
namespace {

/// A port that no listener had; a datagram socket may have it.
SocketAddress free_address(Machine& machine) {
  const Listen listen = machine.listen();
  CHECK(machine.close(listen.socket) == 0);
  return listen.address;
}

Socket connect(Machine& machine, const SocketAddress& local, const SocketAddress& remote) {
  Connect connect;
  connect.datagram = true;
  connect.local = local;
  connect.remote = remote;
  CHECK(machine.run(connect) == 0 && connect.socket.is_open());
  return connect.socket;
}

/// Two sockets that speak with each other.
struct Pair {
  explicit Pair(Machine& machine)
      : addresses{free_address(machine), free_address(machine)},
        a(connect(machine, addresses[0], addresses[1])),
        b(connect(machine, addresses[1], addresses[0])) {}
  std::array<SocketAddress, 2> addresses;
  Socket a, b;
};

/// What comes to a socket, each datagram as one piece.
struct Inbox {
  Inbox(Machine& m, Socket socket) : machine(m) {
    receive.bind<&Inbox::received>(this);
    receive.socket = socket;
    machine[0].submit(receive);
  }
  void received(Receive&, const Completion& completion) {
    if (completion.more)
      datagrams.emplace_back(reinterpret_cast<const char*>(completion.bytes.data()),
                             completion.bytes.size());
    else
      end = completion.result;
  }
  Machine& machine;
  Receive receive;
  std::vector<std::string> datagrams;
  std::optional<int32_t> end;
};

}  // namespace

TEST_P(ProactorContract, a_datagram_socket_tells_the_address_it_uses) {
  Machine machine(GetParam());
  Connect connect;
  connect.datagram = true;
  connect.remote = *SocketAddress::parse("127.0.0.1:9");
  ASSERT_EQ(machine.run(connect), 0);
  EXPECT_TRUE(connect.local.text().starts_with("127.0.0.1:")) << connect.local.text();
  EXPECT_NE(connect.local.port(), 0);
  EXPECT_EQ(machine.close(connect.socket), 0);
}

TEST_P(ProactorContract, each_datagram_comes_whole_and_alone) {
  Machine machine(GetParam());
  const Pair pair(machine);
  Inbox inbox(machine, pair.b);
  std::vector<std::string> sent;
  for (const size_t size : {1u, 12u, 512u, 1232u, 4096u}) sent.push_back(pattern(size));
  for (const std::string& datagram : sent)
    ASSERT_EQ(machine.send(pair.a, datagram), static_cast<int32_t>(datagram.size()));
  ASSERT_TRUE(machine.until([&] { return inbox.datagrams.size() == sent.size(); }));
  std::ranges::sort(inbox.datagrams, {}, &std::string::size);  // they may overtake each other
  EXPECT_EQ(inbox.datagrams, sent);
  machine[0].cancel(inbox.receive);
  ASSERT_TRUE(machine.until([&] { return inbox.end.has_value(); }));
  EXPECT_EQ(inbox.end, -ECANCELED);
  EXPECT_EQ(machine.close(pair.a), 0);
  EXPECT_EQ(machine.close(pair.b), 0);
  EXPECT_EQ(machine[0].in_flight(), 0u);
}

TEST_P(ProactorContract, many_datagrams_may_be_in_flight_on_one_socket) {
  Machine machine(GetParam());
  const Pair pair(machine);
  Inbox inbox(machine, pair.b);
  std::vector<std::unique_ptr<Recorded<Send>>> sends;
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(std::to_string(100 + i));
  for (const std::string& text : texts) {
    sends.push_back(std::make_unique<Recorded<Send>>());
    sends.back()->op.socket = pair.a;
    sends.back()->op.bytes = std::as_bytes(std::span(text));
    machine[0].submit(sends.back()->op);
  }
  ASSERT_TRUE(machine.until([&] {
    return inbox.datagrams.size() == texts.size() &&
           std::ranges::all_of(sends, [](const auto& send) { return send->end == 3; });
  }));
  std::ranges::sort(inbox.datagrams);
  EXPECT_EQ(inbox.datagrams, texts);
  machine[0].cancel(inbox.receive);
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
}

TEST_P(ProactorContract, sending_nothing_sends_no_datagram) {
  Machine machine(GetParam());
  const Pair pair(machine);
  Inbox inbox(machine, pair.b);
  EXPECT_EQ(machine.send(pair.a, ""), 0);
  ASSERT_EQ(machine.send(pair.a, "more"), 4);
  ASSERT_TRUE(machine.until([&] { return !inbox.datagrams.empty(); }));
  EXPECT_EQ(inbox.datagrams, std::vector<std::string>{"more"});
  EXPECT_FALSE(inbox.end.has_value());
  machine[0].cancel(inbox.receive);
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
}

TEST_P(ProactorContract,
       a_datagram_to_a_port_that_nobody_has_is_refused_and_the_socket_stays_good) {
  Machine machine(GetParam());
  const SocketAddress ours = free_address(machine), theirs = free_address(machine);
  const Socket socket = connect(machine, ours, theirs);
  Inbox inbox(machine, socket);
  machine.pass(1ms);
  ASSERT_EQ(machine.send(socket, "anybody?"), 8);
  ASSERT_TRUE(machine.until([&] { return inbox.end.has_value(); }));
  EXPECT_EQ(inbox.end, -ECONNREFUSED);
  const Socket other = connect(machine, theirs, ours);
  machine[0].submit(inbox.receive);
  ASSERT_EQ(machine.send(other, "me"), 2);
  ASSERT_TRUE(machine.until([&] { return !inbox.datagrams.empty(); }));
  EXPECT_EQ(inbox.datagrams.front(), "me");
  machine[0].cancel(inbox.receive);
  ASSERT_TRUE(machine.until([&] { return machine[0].in_flight() == 0; }));
}

TEST_P(ProactorContract, two_datagram_sockets_cannot_have_one_port) {
  Machine machine(GetParam());
  const SocketAddress local = free_address(machine);
  connect(machine, local, *SocketAddress::parse("127.0.0.1:9"));
  Connect second;
  second.datagram = true;
  second.local = local;
  second.remote = *SocketAddress::parse("127.0.0.1:9");
  EXPECT_EQ(machine.run(second), -EADDRINUSE);
  EXPECT_FALSE(second.socket.is_open());
}

}  // namespace sluice::io::contract
