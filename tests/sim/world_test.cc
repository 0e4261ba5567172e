#include "tests/sim/world/world.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

#include "io/event_loop.h"
#include "tests/sim/world/mail_server.h"

namespace sluice::sim {
namespace {

using std::chrono::seconds;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

io::File open(io::Proactor& proactor, const std::string& path, int flags = O_RDWR | O_CREAT) {
  io::Open op;
  op.path = path;
  op.flags = flags;
  EXPECT_EQ(io::run(proactor, op), 0) << path;
  return op.file;
}

int32_t write(io::Proactor& proactor, io::File file, uint64_t offset, std::string_view text) {
  io::Write op;
  op.file = file;
  op.offset = offset;
  op.bytes = as_bytes(text);
  return io::run(proactor, op);
}

int32_t datasync(io::Proactor& proactor, io::File file) {
  io::Datasync op;
  op.file = file;
  return io::run(proactor, op);
}

int32_t sync_directory(io::Proactor& proactor, const std::string& path) {
  io::SyncDirectory op;
  op.path = path;
  return io::run(proactor, op);
}

int32_t rename(io::Proactor& proactor, const std::string& from, const std::string& to) {
  io::Rename op;
  op.from = from;
  op.to = to;
  return io::run(proactor, op);
}

std::string read(World& world, const std::string& path) {
  return world.disk().contents(path).value_or("(none)");
}

/// Sends one message by a canned dialogue, all in one flight after the greeting; what came back is
/// `received`.
class Client {
 public:
  Client(World& world, SimulatedProactor& proactor, const std::string& server, std::string dialogue)
      : proactor_(proactor), dialogue_(std::move(dialogue)) {
    connect_.remote = *io::SocketAddress::parse(server);
    connect_.bind<&Client::connected>(this);
    receive_.bind<&Client::received_some>(this);
    proactor_.submit(connect_);
    proactor_.drive([this] { proactor_.wait(io::never, 64); });
    world.run_until([this] { return ended; }, world.now() + seconds(1000));
  }

  std::string received;
  int32_t result = 1;
  bool ended = false;

 private:
  void connected(io::Connect& op, const io::Completion& completion) {
    result = completion.result;
    if (result < 0) {
      ended = true;
      return;
    }
    receive_.socket = send_.socket = op.socket;
    send_.bytes = as_bytes(dialogue_);
    proactor_.submit(receive_);
    proactor_.submit(send_);
  }
  void received_some(io::Receive&, const io::Completion& completion) {
    received.append(reinterpret_cast<const char*>(completion.bytes.data()),
                    completion.bytes.size());
    result = completion.result;
    ended = !completion.more;
  }

  SimulatedProactor& proactor_;
  std::string dialogue_;
  io::Connect connect_;
  io::Receive receive_;
  io::Send send_;
};

constexpr const char* one_message =
    "EHLO client.test\r\nMAIL FROM:<s@client.test>\r\nRCPT TO:<r@mx.test>\r\nDATA\r\n"
    "Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n";

struct Ran {
  uint64_t hash;
  std::string received;
  bool operator==(const Ran&) const = default;
};

Ran run_a_message(uint64_t seed) {
  World world(seed);
  world.faults.connection_broken = 0.2;
  MailServer server(world, *io::SocketAddress::parse("192.0.2.1:25"));
  Client client(world, world.start().proactor(), "192.0.2.1:25", one_message);
  return {world.trace().hash(), client.received};
}

TEST(World, the_same_seed_gives_the_same_trace_and_another_seed_another) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Ran first = run_a_message(seed);
    EXPECT_EQ(first, run_a_message(seed)) << "seed " << seed;
    hashes.insert(first.hash);
  }
  EXPECT_EQ(hashes.size(), 20u);
}

TEST(World, time_jumps_to_the_next_timer_of_a_loop) {
  World world(1);
  SimulatedProactor& proactor = world.start().proactor();
  io::EventLoop loop(proactor);
  struct Alarm {
    bool rang = false;
    void ring() { rang = true; }
  } alarm;
  io::Timer timer;
  timer.bind<&Alarm::ring>(&alarm);
  proactor.drive([&] { loop.turn(); });
  const io::Instant deadline = world.now() + seconds(3600);
  loop.timers().arm(timer, deadline);
  EXPECT_TRUE(world.run_until([&] { return alarm.rang; }));
  EXPECT_GE(world.now(), deadline);
  EXPECT_LT(world.now(), deadline + seconds(1));
}

TEST(World, a_blocking_call_within_a_turn_lets_the_rest_of_the_world_go_on) {
  World world(1);
  SimulatedProactor& blocking = world.start().proactor();
  SimulatedProactor& other = world.start().proactor();
  unsigned turns_of_other_meanwhile = 0;
  bool is_blocking = false, is_done = false;
  other.drive([&] {
    if (is_blocking) ++turns_of_other_meanwhile;
    other.wait(other.now() + std::chrono::microseconds(1), 1);
  });
  blocking.drive([&] {
    blocking.wait(io::never, 1);
    if (is_done) return;
    is_blocking = true;
    open(blocking, "/file");
    is_blocking = false;
    is_done = true;
  });
  EXPECT_TRUE(world.run_until([&] { return is_done; }));
  EXPECT_GT(turns_of_other_meanwhile, 0u);
}

TEST(World, run_until_ends_when_nothing_can_happen_any_more) {
  World world(1);
  EXPECT_FALSE(world.run_until([] { return false; }));
}

TEST(World, crash_at_counts_the_operations_of_our_processes_and_later_ones_fail) {
  World world(1);
  SimulatedProactor& proactor = world.start().proactor();
  world.crash_at(2, Crash::process);
  const io::File file = open(proactor, "/file");
  EXPECT_EQ(datasync(proactor, file), -EIO);
  EXPECT_EQ(world.crashes(), 1u);
  EXPECT_EQ(write(proactor, file, 0, "late"), -EIO);
  EXPECT_EQ(read(world, "/file"), "");
}

TEST(Disk, unsynced_writes_are_lost_kept_or_torn_at_sectors_when_the_power_goes) {
  std::set<std::string> outcomes;
  const std::string old_bytes(1024, 'o'), new_bytes(1024, 'n');
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    World world(seed);
    SimulatedProactor& proactor = world.start().proactor();
    const io::File file = open(proactor, "/file");
    write(proactor, file, 0, old_bytes);
    ASSERT_EQ(datasync(proactor, file), 0);
    ASSERT_EQ(sync_directory(proactor, "/"), 0);
    write(proactor, file, 0, new_bytes);
    world.lose_power();
    const std::string bytes = read(world, "/file");
    ASSERT_EQ(bytes.size(), 1024u);
    EXPECT_EQ(bytes, std::string(512, bytes[0]) + std::string(512, bytes[512]))
        << "torn within a sector, seed " << seed;
    outcomes.insert({bytes[0], bytes[512]});
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"oo", "nn", "on", "no"}));
}

TEST(Disk, a_synced_file_without_a_synced_name_may_vanish) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world(seed);
    SimulatedProactor& proactor = world.start().proactor();
    const io::File file = open(proactor, "/file");
    write(proactor, file, 0, "text");
    ASSERT_EQ(datasync(proactor, file), 0);
    world.lose_power();
    outcomes.insert(read(world, "/file"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"(none)", "text"}));
}

TEST(Disk, an_unsynced_rename_leaves_one_of_both_names) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world(seed);
    world.disk().put("/old", "text");
    SimulatedProactor& proactor = world.start().proactor();
    ASSERT_EQ(rename(proactor, "/old", "/new"), 0);
    world.lose_power();
    outcomes.insert(read(world, "/old") + " " + read(world, "/new"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"text (none)", "(none) text"}));
}

TEST(Disk, what_was_synced_survives_every_loss_of_power) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    World world(seed);
    world.disk().put_directory("/a");
    world.disk().put_directory("/b");
    SimulatedProactor& proactor = world.start().proactor();
    const io::File file = open(proactor, "/a/file");
    write(proactor, file, 0, "text");
    ASSERT_EQ(datasync(proactor, file), 0);
    ASSERT_EQ(rename(proactor, "/a/file", "/b/file"), 0);
    ASSERT_EQ(sync_directory(proactor, "/b"), 0);
    world.lose_power();
    EXPECT_EQ(read(world, "/b/file"), "text") << "seed " << seed;
    EXPECT_EQ(read(world, "/a/file"), "(none)") << "seed " << seed;
  }
}

TEST(Disk, a_durable_write_survives_every_loss_of_power) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    World world(seed);
    world.disk().put_directory("/a");
    SimulatedProactor& proactor = world.start().proactor();
    io::Write op;
    op.file = open(proactor, "/a/file");
    ASSERT_EQ(sync_directory(proactor, "/a"), 0);
    op.bytes = as_bytes("text");
    op.is_durable = true;
    ASSERT_EQ(io::run(proactor, op), 4);
    world.lose_power();
    EXPECT_EQ(read(world, "/a/file"), "text") << "seed " << seed;
  }
}

TEST(Disk, a_sync_does_not_cover_what_was_written_after_it_was_submitted) {
  unsigned lost = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world(seed);
    SimulatedProactor& proactor = world.start().proactor();
    const io::File file = open(proactor, "/file");
    ASSERT_EQ(sync_directory(proactor, "/"), 0);
    io::Datasync sync;
    sync.file = file;
    proactor.submit(sync);
    write(proactor, file, 0, "text");
    while (sync.in_flight) proactor.wait(io::never, 8);
    world.lose_power();
    lost += read(world, "/file") == "";
  }
  EXPECT_GT(lost, 0u);
}

TEST(Disk, a_failed_sync_may_lose_its_writes_though_the_next_one_succeeds) {
  unsigned lost = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world(seed);
    SimulatedProactor& proactor = world.start().proactor();
    const io::File file = open(proactor, "/file");
    ASSERT_EQ(sync_directory(proactor, "/"), 0);
    write(proactor, file, 0, "text");
    world.faults.datasync_error = 1;
    ASSERT_EQ(datasync(proactor, file), -EIO);
    world.faults = {};
    ASSERT_EQ(datasync(proactor, file), 0);
    EXPECT_EQ(read(world, "/file"), "text");
    world.lose_power();
    lost += read(world, "/file") == "";
  }
  EXPECT_GT(lost, 0u);
  EXPECT_LT(lost, 30u);
}

TEST(Disk, a_killed_process_leaves_the_page_cache_and_loses_its_locks) {
  World world(1);
  Process& process = world.start();
  SimulatedProactor& proactor = process.proactor();
  io::Lock lock;
  lock.file = open(proactor, "/file");
  write(proactor, lock.file, 0, "text");
  ASSERT_EQ(io::run(proactor, lock), 0);
  io::Lock second;
  SimulatedProactor& other = world.start().proactor();
  second.file = open(other, "/file");
  EXPECT_EQ(io::run(other, second), -EWOULDBLOCK);
  world.kill(process);
  EXPECT_EQ(io::run(other, second), 0);
  EXPECT_EQ(read(world, "/file"), "text");
}

TEST(Disk, a_full_disk_refuses_and_takes_again_after_an_unlink) {
  World world(1);
  SimulatedProactor& proactor = world.start().proactor();
  world.disk().capacity = 8192;
  const std::string bytes(8192, 'x');
  const io::File first = open(proactor, "/first");
  EXPECT_EQ(write(proactor, first, 0, bytes), 8192);
  const io::File second = open(proactor, "/second");
  EXPECT_EQ(write(proactor, second, 0, "y"), -ENOSPC);
  io::Unlink unlink;
  unlink.path = "/first";
  EXPECT_EQ(io::run(proactor, unlink), 0);
  EXPECT_EQ(write(proactor, second, 0, "y"), -ENOSPC) << "the file is still open";
  io::CloseFile close;
  close.file = first;
  EXPECT_EQ(io::run(proactor, close), 0);
  EXPECT_EQ(write(proactor, second, 0, "y"), 1);
  EXPECT_EQ(world.disk().used_bytes(), 4096u);
}

TEST(MailServer, records_a_message_it_took_and_that_its_250_was_read) {
  World world(7);
  MailServer server(world, *io::SocketAddress::parse("192.0.2.1:25"));
  const Client client(world, world.start().proactor(), "192.0.2.1:25", one_message);
  ASSERT_EQ(server.deliveries().size(), 1u) << client.received;
  const Delivery& delivery = server.deliveries()[0];
  EXPECT_EQ(delivery.sender, "s@client.test");
  EXPECT_EQ(delivery.recipients, std::vector<std::string>{"r@mx.test"});
  EXPECT_EQ(delivery.content, "Subject: x\r\n\r\n.dot\r\n");
  EXPECT_TRUE(delivery.is_answered);
  EXPECT_TRUE(delivery.reply.is_read());
  EXPECT_TRUE(client.received.ends_with("250 2.0.0 taken\r\n221 2.0.0 bye\r\n")) << client.received;
  EXPECT_TRUE(server.violations().size() == 1)
      << "the canned EHLO pipelines too early, and nothing else is wrong";
}

TEST(MailServer, a_250_that_was_lost_on_the_way_is_known_as_unread) {
  World world(7);
  const io::SocketAddress address = *io::SocketAddress::parse("192.0.2.1:25");
  MailServer server(world, address);
  server.script = [&](Phase phase, std::string_view) {
    if (phase == Phase::final_dot)
      world.after(io::Duration(0), [&] { world.network().break_connections(address); });
    return Answer{};
  };
  const Client client(world, world.start().proactor(), "192.0.2.1:25", one_message);
  EXPECT_EQ(client.result, -ECONNRESET);
  ASSERT_EQ(server.deliveries().size(), 1u);
  EXPECT_TRUE(server.deliveries()[0].is_answered);
  EXPECT_FALSE(server.deliveries()[0].reply.is_read());
}

TEST(MailServer, misbehaves_as_its_script_says) {
  struct Row {
    Phase phase;
    Answer answer;
    std::string received_in;
    int32_t result;
  };
  const Row rows[] = {
      {Phase::greeting, {.reply = "554 no"}, "554 no\r\n", -ECONNRESET},
      {Phase::mail, {.reply = "421 bye"}, "421 bye\r\n", -ECONNRESET},
      {Phase::rcpt,
       {.reply = "550-no\n550 and no"},
       "550-no\r\n550 and no\r\n503 5.5.1 no recipients\r\n",
       0},
      {Phase::final_dot, {.action = Answer::Action::take_and_drop}, "354 go on\r\n", -ECONNRESET},
      {Phase::final_dot, {.action = Answer::Action::slow, .reply = "451 x"}, "451 x\r\n221", 0},
      {Phase::final_dot, {.delay = seconds(50)}, "taken\r\n221", 0},
      {Phase::data, {.action = Answer::Action::garbage}, "this is not SMTP\r\n", 0},
  };
  for (const Row& row : rows) {
    World world(7);
    MailServer server(world, *io::SocketAddress::parse("192.0.2.1:25"));
    server.script = [&](Phase phase, std::string_view) {
      return phase == row.phase ? row.answer : Answer{};
    };
    const Client client(world, world.start().proactor(), "192.0.2.1:25", one_message);
    EXPECT_NE(client.received.find(row.received_in), client.received.npos)
        << row.received_in << " in " << client.received;
    EXPECT_TRUE(client.result == row.result || row.result == -ECONNRESET) << client.result;
  }
}

}  // namespace
}  // namespace sluice::sim
