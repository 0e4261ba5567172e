#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/held.h"
#include "engine/message.h"
#include "io/op.h"

namespace sluice::engine {

class Session;
class Shard;

/// A shard's side of a route: the sessions it may hold and the recipients lent to it. Sessions take
/// recipients one at a time, copied out of the block they were read with; a block's memory goes as
/// its last recipient is taken.
class Outlet {
 public:
  Outlet(Shard& shard, const Route& route) : shard_(shard), route_(route) {}

  const Route& route() const { return route_; }
  Shard& shard() { return shard_; }

  void set_permit(uint32_t sessions);
  void grant(std::unique_ptr<Batch> batch);

  /// Hands the next recipient to a session. False: none now; Session::resume() follows when there
  /// are.
  bool take(Held& held);
  /// A recipient that was taken and not tried: the next session gets it.
  void put_back(Held& held);

  /// News of a session, by itself.
  void session_opened();
  void session_proven();
  void session_refused();
  /// The session is over and may be destroyed once this returns.
  void session_ended(Session& session, bool was_open);
  void session_idles(Session& session) { idle_.push_back(&session); }
  void session_busy(Session& session) { std::erase(idle_, &session); }

  /// Opens sessions, asks for recipients, sends the news: once a turn when anything changed.
  void turn_ended();
  /// Gives back what no session holds and opens nothing any more.
  void stop();

  uint32_t open_sessions() const { return open_; }
  bool is_reading() const;

  bool is_marked = false;  // the shard's: turn_ended() is due

 private:
  struct Load {
    Outlet* outlet;
    std::unique_ptr<Batch> batch;
    std::vector<std::byte> record;      // the block as read
    std::vector<spool::Bytes> entries;  // of batch->items, views into record
    size_t next = 0;
    bool is_ready = false;
    io::Read read;
    void loaded(io::Read& read, const io::Completion& completion);
  };
  void loaded(Load& load, int32_t result);
  void give_back(Load& load, io::Duration delay);
  void wake_idle();
  size_t untaken() const;

  Shard& shard_;
  const Route& route_;
  std::deque<std::unique_ptr<Load>> loads_;
  struct PutBack {
    const Mailing* mailing;
    Item item;
    std::string entry;
  };
  std::vector<PutBack> put_back_;
  std::vector<Session*> idle_;
  SessionNews news_;
  uint32_t permit_ = 0, sessions_ = 0, open_ = 0, wants_ = 0;
  bool stopping_ = false;
};

}  // namespace sluice::engine
