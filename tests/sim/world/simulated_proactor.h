#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "io/proactor.h"

namespace sluice::sim {

class Process;
class World;

/// io::Proactor on a World: see README.md for how it waits, and for what it does once its process
/// is dead.
class SimulatedProactor final : public io::Proactor {
 public:
  SimulatedProactor(World& world, Process& process, uint32_t number);

  void submit(io::Op& op) override;
  void cancel(io::Op& op) override;
  unsigned wait(io::Instant until, unsigned budget) override;
  io::Instant now() const override { return now_; }
  io::Instant clock() const override;
  io::WallTime wall() const override { return wall_; }
  uint64_t random() override;
  void wake(io::Proactor& from) override;
  unsigned in_flight() const override { return static_cast<unsigned>(active_.size()); }

  /// From now on the world calls `turn`, which calls wait() once (an EventLoop's turn), whenever
  /// there may be something to do.
  void drive(std::function<void()> turn);
  void stop_driving();

  /// Sockets open at once; the next Connect or Accept is -EMFILE.
  uint32_t sockets_max = 65536;
  Process& process() { return process_; }
  uint32_t number() const { return number_; }

 private:
  friend class Datagrams;
  friend class Network;
  friend class Process;
  friend class World;

  struct Active {
    io::Op* op;
    bool has_effect = false;  // the operation happened, or waits at the Network
    bool is_done = false;     // its last completion is on its way
    uint64_t mark = 0;        // of the Disk, at submit()
  };
  struct Ready {
    uint64_t id;
    int32_t result;
    bool more;
    std::string bytes;
    io::Socket socket;
    io::SocketAddress remote;
  };

  // For Network and World. An operation is known by its id: the Op may be gone.
  io::Op* find(uint64_t id);
  void complete(uint64_t id, int32_t result, bool more = false, std::string bytes = {},
                io::Socket socket = {}, const io::SocketAddress& remote = {});

  void take_effect(uint64_t id);
  int32_t do_file_operation(io::Op& op, uint64_t mark);
  int32_t do_name_operation(io::Op& op, uint64_t mark);
  int32_t draw_fault(const io::Op& op, uint64_t mark);
  void cancel_now(uint64_t id);
  unsigned deliver(unsigned budget);
  void deliver_one();

  // For Process: what changed in a directory, a signal, the end.
  void directory_changed(int64_t directory);
  void raise(int signal);
  void die();

  // For World's scheduler.
  bool wants_turn() const;
  io::Instant wake_at() const;
  void turn();

  World& world_;
  Process& process_;
  const uint32_t number_;
  io::Instant now_;
  io::WallTime wall_;

  std::map<uint64_t, Active> active_;
  std::unordered_map<const io::Op*, uint64_t> ids_;
  std::deque<Ready> ready_;
  std::map<uint64_t, int64_t> watches_;  // id of a WatchDirectory -> directory
  uint64_t ids_given_ = 0;

  std::function<void()> turn_;
  bool is_turning_ = false, has_waited_ = false, is_blocked_ = false;
  bool has_stirred_ = false, is_woken_ = false, is_dead_ = false;
  unsigned quiet_turns_ = 0;
  io::Instant wanted_ = io::never;
};

}  // namespace sluice::sim
