#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/block_load.h"
#include "engine/envelope.h"
#include "engine/message.h"
#include "engine/queue/priority_turns.h"
#include "engine/source_choice.h"
#include "io/op.h"

namespace sluice::engine {

class Session;
class Shard;

/// A shard's side of a route: the sessions it may hold and the recipients lent to it. Sessions take
/// recipients a transaction at a time, by priority (queue::PriorityTurns), copied out of the block
/// they were read with; a block's memory goes as its last recipient is taken.
class Outlet final : BlockLoad::Listener {
 public:
  Outlet(Shard& shard, const Route& route);

  const Route& route() const { return route_; }
  Shard& shard() { return shard_; }

  void set_permit(uint32_t sessions, HostPlan&& plan);
  void grant(std::unique_ptr<Batch> batch, bool is_asked);
  /// What no session has taken; those whose block is being read follow when it is.
  void give_back_all();

  /// The hosts for a new session, in the order in which it is to try them.
  struct Attempt {
    dns::HostListPtr list;
    std::vector<uint16_t> order;  // indices of list->hosts
  };
  Attempt attempt();
  /// The address that a session to a host of this family is to be bound to; nullptr: any.
  const SourceAddress* source(int family) { return sources_.next(family); }
  const SourceAddress& other_source(const SourceAddress& than) const {
    return sources_.other(than);
  }

  /// Hands the next recipients to a session: one, or as many in a row as go in one transaction, at
  /// most `recipients_max`. False: none now; Session::resume() follows when there are.
  bool take(Envelope& envelope, unsigned recipients_max);
  /// A recipient that was taken and not tried: the next transaction gets it.
  void put_back(Envelope& envelope, unsigned recipient);

  /// News of a session, by itself.
  void host_failed(const io::SocketAddress& host);
  void session_opened(const io::SocketAddress& host);
  void session_proven();
  /// `setback`: no host took the session, or the machine has none of the source's addresses; null:
  /// it opened and came to nothing.
  void session_refused(SetbackPtr setback);
  /// The session is over and may be destroyed once this returns.
  void session_ended(Session& session, bool was_open);
  void session_idles(Session& session);
  void session_busy(Session& session);

  /// Opens sessions, asks for recipients, sends the news: once a turn when anything changed.
  void turn_ended();
  /// Gives back what no session holds and opens nothing any more.
  void stop();

  /// No session, no recipient.
  bool is_idle() const { return sessions_ == 0 && loads_.empty() && put_back_.empty(); }

  uint32_t sessions() const { return sessions_; }
  uint32_t open_sessions() const { return open_; }
  bool is_reading() const;

  // The shard's:
  enum class Slot : uint8_t { none, awaited, offered };
  Slot slot = Slot::none;  // for a first session
  bool is_marked = false;  // turn_ended() is due

 private:
  struct Load {
    std::unique_ptr<BlockLoad> block;
    size_t next = 0;  // of its items
    bool is_recalled = false;
    Priority priority() const { return block->batch().mailing->message.priority; }
    bool is_ready() const { return block->result() == BlockLoad::Result::ready; }
    bool is_reading() const { return block->result() == BlockLoad::Result::reading; }
    size_t untaken() const { return is_ready() ? block->batch().items.size() - next : 0; }
  };
  void block_loaded(BlockLoad& block) override;
  void give_back(Load& load, io::Duration delay);
  bool take_loaded(Priority priority, Envelope& envelope, unsigned recipients_max);
  queue::PriorityTurns::Which with_untaken() const;
  void note_loads_ended();
  bool take_put_back(Envelope& envelope, unsigned recipients_max);
  void wake_idle();
  size_t untaken() const;
  size_t taken_at_once() const;
  void open_sessions_wanted();
  void send_news();

  Shard& shard_;
  const Route& route_;
  SourceChoice sources_;
  std::vector<Load> loads_;
  struct PutBack {
    const Mailing* mailing;
    Item item;
    std::string entry;
    LetterPtr letter;
  };
  std::vector<PutBack> put_back_;
  std::vector<Session*> idle_;
  SessionNews news_;
  HostPlan plan_;
  uint32_t permit_ = 0, sessions_ = 0, open_ = 0, wants_ = 0;
  queue::PriorityTurns turns_;
  std::array<uint32_t, priority_count> loads_ended_{};  // of which the home does not know
  uint32_t grants_ = 0;         // of which the home does not know that they have ended
  bool awaits_permit_ = false;  // a session was refused: its home says how it goes on
  bool stopping_ = false;
};

}  // namespace sluice::engine
