#include "engine/report/transaction_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "io/check.h"
#include "tests/sim/world/world.h"

namespace sluice::engine::report {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

/// A Proactor that answers itself where a fault is set, and else asks the one below.
class FaultyProactor final : public io::Proactor {
 public:
  explicit FaultyProactor(io::Proactor& below) : below_(below) {}

  std::map<io::OpKind, int32_t> faults;   // the result instead of the operation
  std::map<io::OpKind, unsigned> counts;  // submitted
  size_t write_bytes_before_fault = 0;    // a Write that fails has written so much
  uint64_t bytes_added_to_stat = 0;

  void submit(io::Op& op) override {
    ++counts[op.kind];
    const auto fault = faults.find(op.kind);
    if (fault != faults.end()) {
      if (op.kind == io::OpKind::write && write_bytes_before_fault > 0) {
        auto& write = static_cast<io::Write&>(op);
        io::Write part;
        part.file = write.file;
        part.offset = write.offset;
        part.bytes = write.bytes.first(std::min(write_bytes_before_fault, write.bytes.size()));
        write_bytes_before_fault = 0;
        io::run(below_, part);
      }
      op.in_flight = true;
      failed_.emplace_back(&op, fault->second);
    } else {
      if (op.kind == io::OpKind::stat && bytes_added_to_stat > 0) {
        auto& stat = static_cast<io::Stat&>(op);
        io::Stat real;
        real.path = stat.path;
        const int32_t result = io::run(below_, real);
        stat.size = real.size + bytes_added_to_stat;
        op.in_flight = true;
        failed_.emplace_back(&op, result);
      } else {
        below_.submit(op);
      }
    }
  }
  void cancel(io::Op& op) override { below_.cancel(op); }
  unsigned wait(io::Instant until, unsigned budget) override {
    unsigned completed = 0;
    for (auto& [op, result] : std::exchange(failed_, {})) {
      op->in_flight = false;
      op->callback(op->owner, *op, {.result = result});
      ++completed;
    }
    return completed + below_.wait(completed > 0 ? below_.now() : until, budget);
  }
  io::Instant now() const override { return below_.now(); }
  io::WallTime wall() const override { return below_.wall(); }
  uint64_t random() override { return below_.random(); }
  void wake(io::Proactor& from) override { below_.wake(from); }
  unsigned in_flight() const override {
    return below_.in_flight() + static_cast<unsigned>(failed_.size());
  }

 private:
  io::Proactor& below_;
  std::vector<std::pair<io::Op*, int32_t>> failed_;
};

struct Ear final : TransactionLog::Listener {
  void log_flushed() override { ++flushed; }
  void log_stalled(const std::string& message) override { stalled.push_back(message); }
  void log_resumed() override { ++resumed; }
  unsigned flushed = 0, resumed = 0;
  std::vector<std::string> stalled;
};

/// One shard with a pen, on a simulated machine.
struct Shard {
  Shard(sim::World& w, bool leader) : world(w), proactor(w.start().proactor()), loop(proactor) {
    auto opened = TransactionLog::open(loop, "/var/log/sluice", leader, ear);
    CHECK(opened.has_value());
    log = *std::move(opened);
  }

  void append(std::string_view recipient) {
    log->append({.event = Event::delivered, .time = world.wall(), .recipient = recipient});
  }
  void turn_until(const std::function<bool()>& done) {
    for (unsigned turns = 0; !done(); ++turns) {
      ASSERT_LT(turns, 10000u);
      loop.turn();
    }
  }
  void flush() {
    const unsigned before = ear.flushed;
    log->flush();
    turn_until([&] { return ear.flushed > before; });
  }
  /// Lets time pass until the path is looked at again.
  void wait_for_look() { loop.turn(loop.now() + seconds(2)); }

  sim::World& world;
  FaultyProactor proactor;
  io::EventLoop loop;
  Ear ear;
  std::unique_ptr<TransactionLog> log;
};

const std::string folder = "/var/log/sluice", path = folder + "/transactions.jsonl";

/// The recipients of a file's lines, in order; "torn" for what is no whole line.
std::vector<std::string> recipients(sim::World& world, const std::string& file = path) {
  std::vector<std::string> found;
  std::istringstream text(world.disk().contents(file).value_or(""));
  for (std::string line; std::getline(text, line);) {
    const std::string key = "\"recipient\":\"";
    const size_t at = line.find(key);
    const bool is_whole = line.starts_with('{') && line.ends_with("}") && !text.eof() &&
                          at != std::string::npos && line.rfind("{\"time") == 0;
    found.push_back(
        is_whole ? line.substr(at + key.size(), line.find('"', at + key.size()) - at - key.size())
                 : "torn");
  }
  return found;
}

std::vector<std::string> names(sim::World& world) {
  std::vector<std::string> found;
  EXPECT_EQ(world.disk().list_directory(folder, found), 0);
  return found;
}

TEST(TransactionLog, lines_are_in_the_file_when_flush_says_so) {
  sim::World world(1);
  Shard shard(world, true);
  shard.append("a");
  shard.append("b");
  EXPECT_TRUE(shard.log->has_pending());
  EXPECT_THAT(recipients(world), ElementsAre());
  shard.flush();
  EXPECT_FALSE(shard.log->has_pending());
  EXPECT_FALSE(shard.log->is_flushing());
  EXPECT_THAT(recipients(world), ElementsAre("a", "b"));
}

TEST(TransactionLog, what_comes_during_a_write_goes_with_the_next) {
  sim::World world(2);
  Shard shard(world, true);
  shard.append("a");
  shard.log->flush();
  shard.append("b");
  shard.log->flush();
  EXPECT_TRUE(shard.log->has_pending());
  shard.turn_until([&] { return shard.ear.flushed == 1; });
  EXPECT_THAT(recipients(world), ElementsAre("a"));
  shard.flush();
  EXPECT_THAT(recipients(world), ElementsAre("a", "b"));
}

TEST(TransactionLog, a_flush_of_nothing_is_answered_too) {
  sim::World world(3);
  Shard shard(world, true);
  shard.log->flush();
  EXPECT_EQ(shard.ear.flushed, 0u) << "not from within flush()";
  shard.turn_until([&] { return shard.ear.flushed == 1; });
  EXPECT_EQ(shard.proactor.counts[io::OpKind::write], 0u);
}

TEST(TransactionLog, shards_share_the_file_line_by_line) {
  sim::World world(4);
  Shard one(world, true), two(world, false);
  std::multiset<std::string> expected;
  for (int i = 0; i < 50; ++i) {
    one.append("one" + std::to_string(i)), two.append("two" + std::to_string(i));
    expected.insert("one" + std::to_string(i)), expected.insert("two" + std::to_string(i));
    one.log->flush(), two.log->flush();
    one.turn_until([&] { return !one.log->is_flushing(); });
    two.turn_until([&] { return !two.log->is_flushing(); });
  }
  const auto found = recipients(world);
  EXPECT_EQ(std::multiset<std::string>(found.begin(), found.end()), expected);
}

TEST(TransactionLog, a_full_disk_stalls_it_and_nothing_is_lost) {
  sim::World world(5);
  Shard shard(world, true);
  shard.append("a");
  shard.flush();
  shard.append("b");
  shard.proactor.faults[io::OpKind::write] = -ENOSPC;
  shard.log->flush();
  const unsigned writes = shard.proactor.counts[io::OpKind::write];
  const io::Instant start = shard.loop.now();
  while (shard.loop.now() < start + std::chrono::milliseconds(5500)) shard.loop.turn();
  EXPECT_EQ(shard.proactor.counts[io::OpKind::write] - writes, 5u) << "tries again each second";
  ASSERT_EQ(shard.ear.stalled.size(), 1u) << "told once";
  EXPECT_THAT(shard.ear.stalled[0],
              HasSubstr("/var/log/sluice/transactions.jsonl: No space left on device"));
  EXPECT_EQ(shard.ear.flushed, 1u);
  EXPECT_TRUE(shard.log->is_flushing());

  shard.append("c");
  shard.proactor.faults.clear();
  shard.turn_until([&] { return shard.ear.flushed == 2; });
  EXPECT_EQ(shard.ear.resumed, 1u);
  shard.flush();
  EXPECT_THAT(recipients(world), ElementsAre("a", "b", "c"));
}

TEST(TransactionLog, a_write_that_stopped_anywhere_goes_on_there) {
  for (size_t stop = 1;; ++stop) {
    sim::World world(6);
    Shard shard(world, true);
    for (const char* name : {"a", "b", "c"}) shard.append(name);
    shard.proactor.faults[io::OpKind::write] = -ENOSPC;
    shard.proactor.write_bytes_before_fault = stop;
    shard.log->flush();
    shard.turn_until([&] { return !shard.ear.stalled.empty(); });
    shard.proactor.faults.clear();
    shard.turn_until([&] { return shard.ear.flushed == 1; });
    ASSERT_THAT(recipients(world), ElementsAre("a", "b", "c")) << "stopped after " << stop;
    if (stop > world.disk().contents(path)->size()) break;
  }
}

TEST(TransactionLog, when_another_shard_wrote_behind_a_torn_line_nothing_is_lost) {
  sim::World world(7);
  Shard one(world, true), two(world, false);
  one.append("a");
  one.append("b");
  one.proactor.faults[io::OpKind::write] = -EIO;
  one.proactor.write_bytes_before_fault = 100;
  one.log->flush();
  one.turn_until([&] { return !one.ear.stalled.empty(); });
  two.append("x");
  two.flush();
  one.proactor.faults.clear();
  one.turn_until([&] { return one.ear.flushed == 1; });
  const auto found = recipients(world);
  const std::set<std::string> distinct(found.begin(), found.end());
  EXPECT_TRUE(distinct.contains("a") && distinct.contains("b") && distinct.contains("x"))
      << *world.disk().contents(path);
}

TEST(TransactionLog, the_torn_last_line_of_a_killed_process_is_ended) {
  sim::World world(8);
  for (const char* directory : {"/var", "/var/log", "/var/log/sluice"})
    world.disk().put_directory(directory);
  world.disk().put(
      path, "{\"time\":\"2026-11-21T05:27:44.123456Z\",\"recipient\":\"old\"}\n{\"time\":\"19");
  Shard shard(world, true);
  shard.append("a");
  shard.flush();
  EXPECT_THAT(recipients(world), ElementsAre("old", "torn", "a"));
}

TEST(TransactionLog, takes_no_line_of_another_shard_for_a_torn_one) {
  sim::World world(8);
  Shard one(world, true), two(world, false);
  // What is seen of a write that is under way may end within its line.
  world.disk().put(path, "{\"time\":\"2026-11-21T05:27:44.123456Z\",\"recipi");
  two.append("a");
  two.flush();
  EXPECT_FALSE(world.disk().contents(path)->contains('\n' + std::string("{")))
      << "no line of ours ends it";
}

TEST(TransactionLog, is_full_when_too_much_waits) {
  sim::World world(9);
  Shard shard(world, true);
  const std::string name(60000, 'x');
  for (size_t bytes = 0; bytes < TransactionLog::pending_bytes_max; bytes += name.size()) {
    EXPECT_FALSE(shard.log->is_full());
    shard.append(name);
  }
  EXPECT_TRUE(shard.log->is_full());
  shard.flush();
  EXPECT_FALSE(shard.log->is_full());
}

TEST(TransactionLog, the_leader_rotates_a_file_that_is_large_enough_and_others_follow) {
  sim::World world(10);
  Shard leader(world, true), other(world, false);
  leader.append("old");
  leader.flush();
  other.append("old2");
  other.flush();
  leader.wait_for_look(), other.wait_for_look();
  leader.proactor.bytes_added_to_stat = TransactionLog::file_bytes_max;
  leader.append("new");
  leader.flush();
  leader.proactor.bytes_added_to_stat = 0;
  other.append("new2");
  other.flush();
  const auto files = names(world);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_THAT(files[0], testing::MatchesRegex("transactions-[0-9]+T[0-9]+\\.[0-9]+Z\\.jsonl"));
  EXPECT_THAT(recipients(world, folder + "/" + files[0]), ElementsAre("old", "old2"));
  EXPECT_THAT(recipients(world), ElementsAre("new", "new2"));
}

TEST(TransactionLog, does_not_rotate_before_the_file_is_large_enough) {
  sim::World world(11);
  Shard leader(world, true);
  leader.append("a");
  leader.flush();
  leader.wait_for_look();
  leader.proactor.bytes_added_to_stat = TransactionLog::file_bytes_max - 10000;
  leader.append("b");
  leader.flush();
  EXPECT_THAT(names(world), ElementsAre("transactions.jsonl"));
}

TEST(TransactionLog, reopen_goes_to_the_new_file_at_once) {
  sim::World world(12);
  Shard shard(world, false);
  shard.append("a");
  shard.flush();
  ASSERT_EQ(world.disk().rename(path, folder + "/moved", false), 0);
  shard.append("b");
  shard.flush();
  EXPECT_THAT(recipients(world, folder + "/moved"), ElementsAre("a", "b"))
      << "not told, and no second has passed";
  shard.log->reopen();
  shard.append("c");
  shard.flush();
  EXPECT_THAT(recipients(world), ElementsAre("c"));
  EXPECT_EQ(world.disk().open_files(), 1u) << "the old one is closed";
}

TEST(TransactionLog, a_file_moved_away_is_noticed_without_being_told) {
  sim::World world(13);
  Shard shard(world, false);
  shard.append("a");
  shard.flush();
  ASSERT_EQ(world.disk().rename(path, folder + "/moved", false), 0);
  shard.wait_for_look();
  shard.append("b");
  shard.flush();
  EXPECT_THAT(recipients(world), ElementsAre("b"));
}

TEST(TransactionLog, a_file_that_cannot_be_opened_anew_stalls_it) {
  sim::World world(14);
  Shard shard(world, true);
  shard.log->reopen();
  shard.append("a");
  shard.proactor.faults[io::OpKind::open] = -EACCES;
  shard.log->flush();
  shard.turn_until([&] { return !shard.ear.stalled.empty(); });
  EXPECT_THAT(shard.ear.stalled[0], HasSubstr("Permission denied"));
  shard.proactor.faults.clear();
  shard.turn_until([&] { return shard.ear.flushed == 1; });
  EXPECT_THAT(recipients(world), ElementsAre("a"));
}

TEST(TransactionLog, a_write_under_way_is_waited_for_at_the_end) {
  sim::World world(15);
  {
    Shard shard(world, true);
    shard.append("a");
    shard.log->flush();
  }
  EXPECT_EQ(world.disk().open_files(), 0u);
}

TEST(TransactionLog, opens_with_an_error_that_names_the_file) {
  sim::World world(16);
  world.disk().read_only = true;
  sim::SimulatedProactor& proactor = world.start().proactor();
  io::EventLoop loop(proactor);
  Ear ear;
  const auto opened = TransactionLog::open(loop, "/var/log/sluice", true, ear);
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error(),
              HasSubstr("/var/log/sluice/transactions.jsonl: Read-only file system"));
}

TEST(TransactionLog, a_storm_of_disk_faults_loses_nothing) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  sim::World world(seed);
  Shard shard(world, true);
  world.faults.write_no_space = 0.3, world.faults.write_error = 0.2, world.faults.read_error = 0.2,
  world.faults.name_error = 0.2;
  std::vector<std::string> expected;
  for (int i = 0; i < 200; ++i) {
    expected.push_back("r" + std::to_string(i));
    shard.append(expected.back());
    if (i % 3 == 0) shard.flush();
    if (i % 50 == 0) shard.wait_for_look();
  }
  world.faults = {};
  shard.flush();
  EXPECT_EQ(recipients(world), expected);
}

}  // namespace
}  // namespace sluice::engine::report
