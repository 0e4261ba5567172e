#include "tests/sim/world/simulated_proactor.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/check.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

using io::OpKind;
using std::chrono::microseconds;

namespace {

bool is_network(OpKind kind) { return kind <= OpKind::close_socket; }

/// Waits for others rather than doing something: no crash point, and cancel always ends it.
bool is_waiting(OpKind kind) {
  return kind == OpKind::receive || kind == OpKind::accept || kind == OpKind::watch_directory ||
         kind == OpKind::signals;
}

bool changes_disk(OpKind kind) {
  return !is_network(kind) && !is_waiting(kind) && kind != OpKind::read && kind != OpKind::stat &&
         kind != OpKind::list_directory && kind != OpKind::lock;
}

bool syncs_file(const io::Op& op) {
  return op.kind == OpKind::datasync ||
         (op.kind == OpKind::write && static_cast<const io::Write&>(op).is_durable);
}

int32_t socket_index(const io::Op& op) {
  switch (op.kind) {
    case OpKind::accept:       return static_cast<const io::Accept&>(op).listener.index;
    case OpKind::receive:      return static_cast<const io::Receive&>(op).socket.index;
    case OpKind::send:         return static_cast<const io::Send&>(op).socket.index;
    case OpKind::close_socket: return static_cast<const io::CloseSocket&>(op).socket.index;
    default:                   return -1;
  }
}

}  // namespace

SimulatedProactor::SimulatedProactor(World& world, Process& process, uint32_t number)
    : world_(world), process_(process), number_(number), now_(world.now()), wall_(world.wall()) {}

void SimulatedProactor::submit(io::Op& op) {
  CHECK(!op.in_flight);
  if (op.kind == OpKind::close_socket)
    for (const auto& [id, active] : active_) CHECK(socket_index(*active.op) != socket_index(op));
  op.in_flight = true;
  op.cancelled = false;
  has_stirred_ = true;
  quiet_turns_ = 0;
  const uint64_t id = ++ids_given_;
  active_.emplace(id, Active{.op = &op, .mark = world_.disk().mark()});
  ids_[&op] = id;
  if (is_dead_) {
    complete(id, -EIO);
    return;
  }
  Random& random = world_.random();
  io::Duration takes = random.between(microseconds(1), microseconds(20));
  if (!is_network(op.kind) && !is_waiting(op.kind)) {
    takes = random.between(microseconds(5), microseconds(syncs_file(op) ? 4000 : 200));
    if (process_.is_ours() && random.chance(world_.faults.disk_slow))
      takes = random.between(io::Duration(0), world_.faults.disk_slow_max);
  }
  world_.after(takes, [this, id] { take_effect(id); });
}

void SimulatedProactor::take_effect(uint64_t id) {
  const auto found = active_.find(id);
  if (found == active_.end() || found->second.is_done || is_dead_) return;
  io::Op& op = *found->second.op;
  if (!is_waiting(op.kind) && !world_.count_operation(process_)) return;
  found->second.has_effect = true;
  Network& network = world_.network();
  switch (op.kind) {
    case OpKind::connect:         return network.connect(*this, id, static_cast<io::Connect&>(op));
    case OpKind::listen:          return network.listen(*this, id, static_cast<io::Listen&>(op));
    case OpKind::accept:          return network.accept(*this, id, static_cast<io::Accept&>(op));
    case OpKind::receive:         return network.receive(*this, id, static_cast<io::Receive&>(op));
    case OpKind::send:            return network.send(*this, id, static_cast<io::Send&>(op));
    case OpKind::close_socket:    return network.close(*this, id, static_cast<io::CloseSocket&>(op));
    case OpKind::signals:         return;
    case OpKind::watch_directory: {
      const int64_t directory = world_.disk().watch(static_cast<io::WatchDirectory&>(op).path);
      if (directory < 0) return complete(id, static_cast<int32_t>(directory));
      watches_[id] = directory;
      return;
    }
    default: break;
  }
  const uint64_t mark = found->second.mark;
  const int32_t fault = draw_fault(op, mark);
  complete(id, fault != 0 ? fault : do_file_operation(op, mark));
}

int32_t SimulatedProactor::draw_fault(const io::Op& op, uint64_t mark) {
  if (!process_.is_ours()) return 0;
  Random& random = world_.random();
  const FaultPlan& faults = world_.faults;
  switch (op.kind) {
    case OpKind::read:     return random.chance(faults.read_error) ? -EIO : 0;
    case OpKind::allocate: return random.chance(faults.write_no_space) ? -ENOSPC : 0;
    case OpKind::datasync:
      if (!random.chance(faults.datasync_error)) return 0;
      return world_.disk().datasync_failing(static_cast<const io::Datasync&>(op).file.descriptor,
                                            mark);
    case OpKind::write: {
      const int32_t error = random.chance(faults.write_error)      ? -EIO
                            : random.chance(faults.write_no_space) ? -ENOSPC
                                                                   : 0;
      const auto& write = static_cast<const io::Write&>(op);
      if (error != 0) {
        world_.disk().write(write.file.descriptor, write.offset,
                            write.bytes.first(random.below(write.bytes.size() + 1)));
        return error;
      }
      if (!write.is_durable || !random.chance(faults.datasync_error)) return 0;
      world_.disk().write(write.file.descriptor, write.offset, write.bytes);
      return world_.disk().datasync_failing(write.file.descriptor, world_.disk().mark());
    }
    case OpKind::open:
    case OpKind::rename:
    case OpKind::unlink:
    case OpKind::make_directory:
    case OpKind::sync_directory:
    case OpKind::list_directory:
    case OpKind::stat:           return random.chance(faults.name_error) ? -EIO : 0;
    default:                     return 0;
  }
}

int32_t SimulatedProactor::do_file_operation(io::Op& op, uint64_t mark) {
  Disk& disk = world_.disk();
  switch (op.kind) {
    case OpKind::close_file: return disk.close(static_cast<io::CloseFile&>(op).file.descriptor);
    case OpKind::read:       {
      auto& read = static_cast<io::Read&>(op);
      return disk.read(read.file.descriptor, read.offset, read.bytes);
    }
    case OpKind::write: {
      auto& write = static_cast<io::Write&>(op);
      const int32_t written = disk.write(write.file.descriptor, write.offset, write.bytes);
      if (written < 0 || !write.is_durable) return written;
      const int32_t synced = disk.datasync(write.file.descriptor, disk.mark());
      return synced < 0 ? synced : written;
    }
    case OpKind::datasync:
      return disk.datasync(static_cast<io::Datasync&>(op).file.descriptor, mark);
    case OpKind::truncate: {
      auto& truncate = static_cast<io::Truncate&>(op);
      return disk.truncate(truncate.file.descriptor, truncate.size);
    }
    case OpKind::allocate: {
      auto& allocate = static_cast<io::Allocate&>(op);
      return disk.allocate(allocate.file.descriptor, allocate.offset, allocate.length);
    }
    case OpKind::lock: return disk.lock(static_cast<io::Lock&>(op).file.descriptor);
    default:           return do_name_operation(op, mark);
  }
}

int32_t SimulatedProactor::do_name_operation(io::Op& op, uint64_t mark) {
  Disk& disk = world_.disk();
  switch (op.kind) {
    case OpKind::open: {
      auto& open = static_cast<io::Open&>(op);
      open.file = {};
      return disk.open(process_.number(), open.path, open.flags, open.file.descriptor);
    }
    case OpKind::sync_directory:
      return disk.sync_directory(static_cast<io::SyncDirectory&>(op).path, mark);
    case OpKind::make_directory:
      return disk.make_directory(static_cast<io::MakeDirectory&>(op).path);
    case OpKind::unlink: return disk.unlink(static_cast<io::Unlink&>(op).path);
    case OpKind::rename: {
      auto& rename = static_cast<io::Rename&>(op);
      return disk.rename(rename.from, rename.to, rename.keep_existing);
    }
    case OpKind::list_directory: {
      auto& list = static_cast<io::ListDirectory&>(op);
      return disk.list_directory(list.path, list.names);
    }
    case OpKind::stat: {
      auto& stat = static_cast<io::Stat&>(op);
      return disk.stat(stat.path, stat.size, stat.bytes_on_disk, stat.is_directory);
    }
    default: CHECK(false); return 0;
  }
}

io::Op* SimulatedProactor::find(uint64_t id) {
  const auto found = active_.find(id);
  return found == active_.end() || found->second.is_done ? nullptr : found->second.op;
}

void SimulatedProactor::complete(uint64_t id, int32_t result, bool more, std::string bytes,
                                 io::Socket socket, const io::SocketAddress& remote) {
  const auto found = active_.find(id);
  CHECK(found != active_.end() && !found->second.is_done);
  found->second.is_done = !more;
  if (!more) watches_.erase(id);
  world_.note("complete", number_, id * 100 + static_cast<uint64_t>(found->second.op->kind),
              result);
  ready_.push_back({id, result, more, std::move(bytes), socket, remote});
}

void SimulatedProactor::cancel(io::Op& op) {
  CHECK(op.in_flight);
  op.cancelled = true;
  has_stirred_ = true;
  quiet_turns_ = 0;
  if (is_dead_) return;
  const uint64_t id = ids_.at(&op);
  world_.after(world_.random().between(microseconds(0), microseconds(10)),
               [this, id] { cancel_now(id); });
}

void SimulatedProactor::cancel_now(uint64_t id) {
  const auto found = active_.find(id);
  if (found == active_.end() || found->second.is_done) return;
  io::Op& op = *found->second.op;
  if (!is_waiting(op.kind) && op.kind != OpKind::connect && op.kind != OpKind::send) {
    // Ordinary file operations run their course unless they had not begun.
    if (!found->second.has_effect && op.kind != OpKind::close_socket &&
        op.kind != OpKind::close_file && world_.random().chance(0.5))
      complete(id, -ECANCELED);
    return;
  }
  if (is_network(op.kind) && found->second.has_effect) world_.network().forget(*this, id, op);
  complete(id, -ECANCELED);
}

unsigned SimulatedProactor::wait(io::Instant until, unsigned budget) {
  const bool may_block = !is_turning_ || has_waited_;
  has_waited_ = true;
  wanted_ = until;
  if (may_block && ready_.empty() && !is_woken_ && !is_dead_) {
    // Even who only looks lets a little time pass: a loop of looks is to come to an end.
    const io::Instant latest = std::max(until, world_.now() + microseconds(1));
    const bool was_blocked = std::exchange(is_blocked_, true);
    const bool came =
        world_.run_until([this] { return !ready_.empty() || is_woken_ || is_dead_; }, latest);
    is_blocked_ = was_blocked;
    CHECK(came || until != io::never);  // else it waits for what can never come
  }
  if (std::exchange(is_woken_, false)) has_stirred_ = true;
  now_ = world_.now();
  wall_ = world_.wall();
  return deliver(budget);
}

unsigned SimulatedProactor::deliver(unsigned budget) {
  unsigned delivered = 0;
  // What callbacks submit completes later; only what is ready now counts.
  for (size_t due = std::min<size_t>(budget, ready_.size()); due > 0 && !ready_.empty();
       --due, ++delivered)
    deliver_one();
  if (delivered > 0) has_stirred_ = true;
  return delivered;
}

void SimulatedProactor::deliver_one() {
  const Ready ready = std::move(ready_.front());
  ready_.pop_front();
  const auto found = active_.find(ready.id);
  CHECK(found != active_.end());
  io::Op& op = *found->second.op;
  if (!ready.more) {
    ids_.erase(&op);
    active_.erase(found);
    op.in_flight = false;
  }
  if (op.kind == OpKind::accept) {
    auto& accept = static_cast<io::Accept&>(op);
    accept.socket = ready.socket;
    if (accept.tells_remote) accept.remote = ready.remote;
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(ready.bytes.data());
  if (op.callback)
    op.callback(op.owner, op,
                {.result = ready.result, .more = ready.more, .bytes = {bytes, ready.bytes.size()}});
}

uint64_t SimulatedProactor::random() { return world_.random().next(); }

void SimulatedProactor::wake(io::Proactor& from) {
  CHECK(dynamic_cast<SimulatedProactor*>(&from));
  world_.after(world_.random().between(microseconds(0), microseconds(10)),
               [this] { is_woken_ = true; });
}

io::Instant SimulatedProactor::clock() const { return world_.now_ += world_.work; }

void SimulatedProactor::drive(std::function<void()> turn) {
  turn_ = std::move(turn);
  quiet_turns_ = 0;
}

void SimulatedProactor::stop_driving() { turn_ = nullptr; }

bool SimulatedProactor::wants_turn() const {
  if (!turn_ || is_turning_ || is_blocked_ || is_dead_) return false;
  return !ready_.empty() || is_woken_ || quiet_turns_ < 2 || wanted_ <= world_.now();
}

io::Instant SimulatedProactor::wake_at() const {
  return turn_ && !is_turning_ && !is_blocked_ && !is_dead_ ? wanted_ : io::never;
}

void SimulatedProactor::turn() {
  is_turning_ = true;
  has_waited_ = has_stirred_ = false;
  wanted_ = io::never;
  const std::function<void()> turn = turn_;  // it may end its own driving
  turn();
  is_turning_ = false;
  quiet_turns_ = has_stirred_ ? 0 : quiet_turns_ + 1;
}

void SimulatedProactor::directory_changed(int64_t directory) {
  for (const auto& [id, watched] : watches_)
    if (watched == directory &&
        std::ranges::none_of(ready_, [&](const Ready& ready) { return ready.id == id; }))
      complete(id, 0, true);
}

void SimulatedProactor::raise(int signal) {
  for (const auto& [id, active] : active_) {
    if (active.op->kind != OpKind::signals || !active.has_effect || active.is_done) continue;
    const auto& numbers = static_cast<const io::Signals&>(*active.op).numbers;
    if (std::ranges::find(numbers, signal) != numbers.end()) complete(id, signal, true);
  }
}

void SimulatedProactor::die() {
  for (auto& [id, active] : active_) {
    if (active.has_effect || active.is_done || !changes_disk(active.op->kind) ||
        world_.random().chance(0.5))
      continue;
    active.has_effect = true;
    if (active.op->kind == OpKind::write && world_.random().chance(0.5)) {
      const auto& write = static_cast<const io::Write&>(*active.op);
      world_.disk().write(write.file.descriptor, write.offset,
                          write.bytes.first(world_.random().below(write.bytes.size() + 1)));
    } else {
      do_file_operation(*active.op, active.mark);
    }
  }
  is_dead_ = true;
  ready_.clear();
  watches_.clear();
  // Nobody turns the dead again, but blocking code may be on the stack, and a test that destroys
  // what the process held runs destructors that wait: to them everything failed.
  for (auto& [id, active] : active_) {
    active.is_done = false;
    complete(id, -EIO);
  }
}

}  // namespace sluice::sim
