// What only the kernel's own Proactor can show; all else is in tests/contract.
#include "io/uring.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "io/check.h"
#include "io/mailbox.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Proactor> open(const UringOptions& options = {}) {
  auto uring = open_uring(options);
  CHECK(uring);
  return std::move(*uring);
}

Listen listen(Proactor& proactor) {
  Listen op;
  op.address = *SocketAddress::parse("127.0.0.1:0");
  CHECK(run(proactor, op) == 0);
  return op;
}

int32_t connect(Proactor& proactor, const SocketAddress& remote, Socket* socket = nullptr) {
  Connect op;
  op.remote = remote;
  const int32_t result = run(proactor, op);
  if (socket) *socket = op.socket;
  return result;
}

void close(Proactor& proactor, Socket socket) {
  CloseSocket op;
  op.socket = socket;
  CHECK(run(proactor, op) == 0);
}

/// Accepts all and receives from each.
struct Server {
  struct Peer {
    void received(Receive&, const Completion& completion) {
      if (completion.result > 0)
        received_bytes += completion.bytes.size();
      else
        end = completion.result;
    }
    Receive receive;
    size_t received_bytes = 0;
    int32_t end = 1;
  };
  explicit Server(Proactor& p) : proactor(p), listener(listen(p)) {
    accept.listener = listener.socket;
    accept.bind<&Server::accepted>(this);
    proactor.submit(accept);
  }
  void accepted(Accept&, const Completion& completion) {
    last = completion.result;
    if (completion.result < 0) return;
    Peer& peer = *peers.emplace_back(std::make_unique<Peer>());
    peer.receive.socket = accept.socket;
    peer.receive.bind<&Peer::received>(&peer);
    proactor.submit(peer.receive);
  }
  Proactor& proactor;
  Listen listener;
  Accept accept;
  std::vector<std::unique_ptr<Peer>> peers;
  int32_t last = 1;
};

TEST(Uring, a_shortage_of_receive_buffers_is_not_seen) {
  const auto proactor = open({.receive_buffers = 2, .receive_buffer_bytes = 128});
  Server server(*proactor);
  const std::string text(20'000, 'x');
  std::array<Send, 10> sends;
  for (Send& send : sends) {
    ASSERT_EQ(connect(*proactor, server.listener.address, &send.socket), 0);
    send.bytes = std::as_bytes(std::span(text));
    proactor->submit(send);
  }
  const auto all_arrived = [&] {
    for (const auto& peer : server.peers)
      if (peer->received_bytes != text.size()) return false;
    return server.peers.size() == sends.size();
  };
  for (int turn = 0; turn < 10'000 && !all_arrived(); ++turn)
    proactor->wait(proactor->now() + 100ms, 16);
  EXPECT_TRUE(all_arrived());
  for (const auto& peer : server.peers) EXPECT_EQ(peer->end, 1) << "ended";
}

TEST(Uring, a_full_table_of_sockets_is_emfile_and_room_again_after_a_close) {
  const auto proactor = open({.sockets_max = 4});
  const auto far = open();
  Server server(*far);
  std::vector<Socket> sockets;
  Socket socket;
  int32_t result;
  while ((result = connect(*proactor, server.listener.address, &socket)) == 0) {
    sockets.push_back(socket);
    ASSERT_LE(sockets.size(), 4u);
  }
  EXPECT_EQ(result, -EMFILE);
  EXPECT_EQ(sockets.size(), 4u);
  close(*proactor, sockets.back());
  EXPECT_EQ(connect(*proactor, server.listener.address), 0);
}

TEST(Uring, accepting_into_a_full_table_ends_the_accept_with_emfile) {
  const auto proactor = open({.sockets_max = 3});
  const auto far = open();
  Server server(*proactor);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect(*far, server.listener.address), 0);
  for (int turn = 0; turn < 100 && server.accept.in_flight; ++turn)
    proactor->wait(proactor->now() + 100ms, 16);
  EXPECT_FALSE(server.accept.in_flight);
  EXPECT_EQ(server.last, -EMFILE);
  EXPECT_EQ(server.peers.size(), 2u);
}

/// Exit status 0 when `body` returns true in a process of its own.
template <class Body>
int in_a_child(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Uring, sockets_are_not_bound_by_the_descriptor_limit_of_the_process) {
  EXPECT_EQ(in_a_child([] {
              const rlimit limit{.rlim_cur = 100, .rlim_max = 100};
              CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
              const auto near = open(), far = open(), farther = open();
              Server server(*far), other(*farther);
              for (int i = 0; i < 99; ++i)
                CHECK(connect(*near, (i % 2 ? server : other).listener.address) == 0);
              while (server.peers.size() + other.peers.size() < 99) {
                far->wait(Instant::min(), 16);
                farther->wait(Instant::min(), 16);
              }
              return true;  // 200 sockets
            }),
            0);
}

TEST(Uring, tells_signals_that_the_process_receives) {
  EXPECT_EQ(in_a_child([] {
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGUSR1);
              sigaddset(&set, SIGTERM);
              CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
              const auto proactor = open();
              struct Log {
                void came(Signals&, const Completion& completion) {
                  (completion.more ? numbers : ends).push_back(completion.result);
                }
                std::vector<int> numbers, ends;
              } log;
              Signals signals;
              signals.numbers = {SIGUSR1, SIGTERM};
              signals.bind<&Log::came>(&log);
              proactor->submit(signals);
              for (int number : {SIGTERM, SIGUSR1, SIGTERM}) {
                const size_t before = log.numbers.size();
                kill(getpid(), number);
                while (log.numbers.size() == before) proactor->wait(never, 16);
                CHECK(log.numbers.back() == number);
              }
              proactor->cancel(signals);
              while (signals.in_flight) proactor->wait(never, 16);
              return log.numbers.size() == 3 && log.ends == std::vector{-ECANCELED};
            }),
            0);
}

TEST(Uring, wakes_across_threads_and_no_message_waits_for_ever) {
  constexpr int rounds = 20'000;
  struct Side {
    Mailbox<int, 16> inbox;
    Proactor* proactor = nullptr;
  };
  std::array<Side, 2> sides;
  std::latch ready(2), done(2);
  const auto play = [&](size_t me) {
    const auto proactor = open({.entries = 64, .sockets_max = 64, .receive_buffers = 2});
    sides[me].proactor = proactor.get();
    ready.arrive_and_wait();
    Side& other = sides[1 - me];
    const auto tell = [&](int value) {
      CHECK(other.inbox.push(std::move(value)));
      other.proactor->wake(*proactor);
    };
    if (me == 0) tell(0);
    for (int next = 1 - static_cast<int>(me); next < rounds;) {
      proactor->wait(never, 16);
      while (const auto value = sides[me].inbox.pop()) {
        CHECK(*value == next);
        next += 2;
        if (*value + 1 < rounds) tell(*value + 1);
      }
    }
    proactor->wait(proactor->now(), 16);  // hands the last wake-up over
    done.arrive_and_wait();
  };
  std::thread other(play, 1);
  play(0);
  other.join();
}

TEST(Uring, wakes_coalesce_but_none_after_a_look_is_lost) {
  constexpr int count = 100'000;
  Mailbox<int, 1024> mailbox;
  Proactor* receiver = nullptr;
  std::latch ready(2), done(2);
  std::thread sender([&] {
    const auto proactor = open({.entries = 64, .sockets_max = 64, .receive_buffers = 2});
    ready.arrive_and_wait();
    for (int i = 0; i < count; ++i) {
      while (!mailbox.push(int{i})) proactor->wait(proactor->now(), 16);
      receiver->wake(*proactor);
      if (i % 7 == 0) proactor->wait(proactor->now(), 16);
    }
    proactor->wait(proactor->now(), 16);
    done.arrive_and_wait();
  });
  const auto proactor = open({.entries = 64, .sockets_max = 64, .receive_buffers = 2});
  receiver = proactor.get();
  ready.arrive_and_wait();
  for (int expected = 0; expected < count;) {
    proactor->wait(never, 16);
    while (const auto value = mailbox.pop()) CHECK(*value == expected++);
  }
  done.arrive_and_wait();
  sender.join();
}

class UringClose : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(ShutDownBefore, UringClose, testing::Bool());

TEST_P(UringClose, many_thousand_connections_come_and_go_without_a_slot_lost) {
  const auto proactor =
      open({.entries = 8, .sockets_max = 8, .shut_down_before_close = GetParam()});
  Server server(*proactor);
  for (int i = 0; i < 3000; ++i) {
    Socket socket;
    ASSERT_EQ(connect(*proactor, server.listener.address, &socket), 0) << i;
    Send send;
    send.socket = socket;
    send.bytes = std::as_bytes(std::span("QUIT", 4));
    ASSERT_EQ(run(*proactor, send), 4);
    close(*proactor, socket);
    while (server.peers.empty() || server.peers.back()->end > 0)
      proactor->wait(proactor->now() + 100ms, 16);
    ASSERT_EQ(server.peers.back()->end, 0);
    ASSERT_EQ(server.peers.back()->received_bytes, 4u);
    close(*proactor, server.peers.back()->receive.socket);
    server.peers.pop_back();
  }
}

}  // namespace
}  // namespace sluice::io
