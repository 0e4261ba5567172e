#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/message.h"
#include "engine/queue/backlog.h"
#include "engine/queue/deadlines.h"
#include "engine/queue/deferred_heap.h"
#include "engine/queue/earlier_run.h"
#include "engine/queue/host_board.h"
#include "engine/queue/order_book.h"
#include "engine/queue/packed_recipient.h"
#include "engine/queue/priority_turns.h"
#include "engine/queue/rate_limit.h"
#include "engine/queue/recipient_line.h"
#include "engine/queue/session_ramp.h"
#include "engine/queue/shard_share.h"
#include "engine/queue/wait_notes.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// How recipients end, or wait on, without an attempt of their own. `deferred`: told only; they
/// wait on. `intent`: told only; they are held.
struct Ending {
  spool::OutcomeKind kind = spool::OutcomeKind::deferred;
  SetbackPtr why;         // may be null
  bool is_delay = false;  // deferred: their senders are told that they wait for long
  io::Instant until{};    // deferred: when they are tried again
};

/// A route's queue at its home shard: who is next (by priority and weight, see PriorityTurns), who
/// waits until when, how many sessions, which hosts. Pure: time and news come in, letters go out
/// through `Outside`.
///
/// Sessions ramp up: one at first and after the hosts refused all, then doubling with each that
/// opens, up to sessions_max. When none is open and one is refused by every host, or DNS names no
/// host, that is a *setback*: the queue as a whole waits, on the retry curve, and is tried by one
/// session again. It counts as an attempt for everybody who waited, at no cost for each: a
/// recipient knows how many setbacks its queue had when it began to wait, and takes over the
/// difference when it is lent. What this machine lacks (Setback::is_ours) is nobody's attempt: the
/// queue is tried again in a minute. A host that refuses a session beside open ones is left at what
/// it took for a while.
class HomeQueue {
 public:
  using Now = queue::Now;

  class Outside {
   public:
    /// `is_asked`: the answer to a want(); else it is to overtake what the shard holds.
    virtual void grant(unsigned shard, std::unique_ptr<Batch> batch, bool is_asked) = 0;
    virtual void permit(unsigned shard, uint32_t sessions, const HostPlan& plan) = 0;
    /// Log and record them; ended() follows, after give_back() of those that wait on.
    virtual void end(std::unique_ptr<Batch> batch, const Ending& ending) = 0;
    /// hosts_found() follows.
    virtual void find_hosts() = 0;
    /// All shards are to give back what no session has taken.
    virtual void recall() = 0;
    /// To another queue.
    virtual void depart(AddSource&& departure) = 0;
    /// A restart should know what the mailing's recipients here waited for.
    virtual void note_wait(const Mailing& mailing, const Waited& waited) = 0;

   protected:
    ~Outside() = default;
  };

  HomeQueue(const Route& route, unsigned shards, InDoubtPolicy in_doubt);

  void add(MailingPtr mailing, std::vector<Range> ranges, const Waited& waited, Orders&& orders,
           const Now& now);
  /// Those of `ranges` that earlier runs tried. O(how many these are).
  void restore(const MailingPtr& mailing, const std::vector<Range>& ranges,
               const EarlierRun& earlier, const spool::Waits& waits, const Now& now);
  void give_back(Returned&& returned, const Now& now);
  void want(unsigned shard) { ++shards_[shard].hungry; }
  void steer(const MailingPtr& mailing, Orders&& orders, const std::vector<Range>& due,
             bool is_release, const Now& now);
  /// Sends on what goes elsewhere now, and what comes back later that does. O(what waits here).
  void reroute(std::shared_ptr<const Routing> routing, const Now& now);
  /// One that another queue sent on.
  void arrive(Returned&& returned, const Now& now);
  void session_news(const SessionNews& news, const Now& now);
  void hosts_found(dns::HostListPtr list, const Now& now);
  void ended() { --ending_; }

  /// Does what is due. Call after any of the above and at next().
  void serve(const Now& now, Outside& outside);
  /// When to serve() again although nothing came; `never` when nothing waits for time.
  io::Instant next(io::Instant now) const;

  /// Nothing waits, and nobody works for it.
  bool is_idle() const;

  const Route& route() const { return route_; }
  /// Recipients that wait for somebody to release them: on orders, or because it is not known
  /// whether they arrived.
  uint64_t held() const { return backlog_.held() + held_.size() + held_deferred_; }
  /// Recipients not tried by themselves that wait for a destination which took no session
  /// lately.
  uint64_t backed_off() const {
    return fruitless_ > 0 ? backlog_.size() - backlog_.held() + untried_ : 0;
  }
  /// Recipients that wait here: not lent, no fate.
  uint64_t waiting() const {
    return backlog_.size() + ready() + deferred_.size() + doubtful_.size() + held_.size() +
           cancelled_.size() + delayed_.size();
  }

 private:
  struct Told {
    bool is_held_in_doubt = false;
    io::Instant retry_at{};
    SetbackPtr why;
  };
  using Leaving = Backlog::Leaving;

  io::Instant expires(const Mailing& mailing, uint32_t number, const Now& now) const {
    return queue::expires(mailing, number, route_.policy, now);
  }
  io::Instant warns(const Mailing& mailing, uint32_t number, const Now& now) const {
    return queue::warns(mailing, number, route_.policy, now);
  }
  size_t ready() const {
    return std::accumulate(ready_.begin(), ready_.end(), size_t{0},
                           [](size_t sum, const RecipientLine& line) { return sum + line.size(); });
  }
  std::array<RecipientLine*, priority_count + 1> lines();
  PriorityTurns::Which with_work() const;
  bool has_work() const { return !backlog_.waiting().empty() || ready() > 0; }
  uint32_t open() const {
    return std::accumulate(shards_.begin(), shards_.end(), 0u,
                           [](uint32_t sum, const ShardShare& shard) { return sum + shard.open; });
  }
  void collect_due(const Now& now);
  void setback(SetbackPtr why, const Now& now);
  void back_off(bool opened, const Now& now);
  void note(const PackedRecipient& recipient);
  void write_notes(Outside& outside);
  void tell(Outside& outside);
  void expire(const Now& now, Outside& outside);
  void end_exhausted(Outside& outside);
  void end_all(Outside& outside);
  void settle_doubtful(Outside& outside);
  void end_cancelled(Outside& outside);
  void tell_delays(const Now& now, Outside& outside);
  void end_leaving(Leaving why, const Ending& ending, Outside& outside);
  bool is_cancelled(const PackedRecipient& recipient) const;
  bool is_held(const PackedRecipient& recipient) const;
  void take_in(Returned& returned, bool in_front, const Now& now);
  void defer(PackedRecipient recipient, io::Instant due, const Now& now);
  void come_due(PackedRecipient recipient, const Now& now);
  void place(PackedRecipient recipient, bool in_front, const Now& now);
  void place_again(RecipientLine& list, const Mailing* mailing, const Now& now);
  Item take(const PackedRecipient& recipient);
  void make_due(const Mailing& mailing, const std::vector<Range>& due, bool is_release,
                const Now& now);
  void end(std::unique_ptr<Batch> batch, const Ending& ending, Outside& outside);
  bool end_if(RecipientLine& list, auto&& is_over, Ending ending, Outside& outside);
  void issue_permits(const Now& now, Outside& outside, bool is_closed);
  void lend(const Now& now, Outside& outside);
  void lend_more_urgent(const Now& now, Outside& outside);
  void lend_to(unsigned shard, std::unique_ptr<Batch> batch, bool is_asked, const Now& now,
               Outside& outside);
  uint32_t batch_items_max() const;
  std::unique_ptr<Batch> next_batch(uint32_t items_max);
  std::unique_ptr<Batch> next_batch(Priority priority, uint32_t items_max);
  std::unique_ptr<Batch> next_ready(Priority priority, uint32_t items_max);
  std::unique_ptr<Batch> batch_of_block(const PackedRecipient& first) const;
  bool batch_takes(const Batch& batch, const PackedRecipient& recipient) const;
  std::unique_ptr<Batch> finished(std::unique_ptr<Batch> batch) const;
  void fold(Item& item) const;
  static uint16_t saturated(int64_t n) {
    return static_cast<uint16_t>(std::min<int64_t>(n, UINT16_MAX));
  }
  const Route* elsewhere(const Mailing& mailing, uint32_t recipient) const;
  void send_on(const Source& source, const Now& now);
  void send_on(const PackedRecipient& recipient, const Now& now);
  void send_on(Returned&& returned, const Now& now);
  AddSource& departure_to(const Route& to, const Mailing& mailing);

  const Route& route_;
  const InDoubtPolicy in_doubt_;
  HostBoard board_;
  RateLimit rate_;
  Backlog backlog_;
  PriorityTurns priority_turns_;
  RecipientPacker packer_;  // of all below
  DeferredHeap deferred_{packer_};
  std::array<RecipientLine, priority_count> ready_;  // their time has come; by priority
  RecipientLine doubtful_, held_, cancelled_, delayed_;
  std::map<std::pair<const Mailing*, uint32_t>, Told> being_told_;  // as they were
  uint64_t untried_ = 0;                   // of all packed here: not tried by themselves
  uint64_t held_deferred_ = 0;             // of deferred_
  io::Instant ready_expires_ = io::never;  // the earliest of ready_ and held_
  io::Instant ready_warns_ = io::never;    // likewise
  std::vector<ShardShare> shards_;
  SessionRamp ramp_;
  OrderBook orders_;
  std::shared_ptr<const Routing> routing_;  // null: the configuration was never read anew
  std::vector<AddSource> departures_;
  bool is_recall_due_ = false;
  int32_t setbacks_ = 0;    // so far
  uint32_t refusals_ = 0;   // setbacks since a session was open
  uint32_t fruitless_ = 0;  // sessions in a row that came to nothing: what the curve goes by
  io::Instant backed_off_until_{};
  SetbackPtr last_, untold_;
  io::Instant recall_at_ = io::never;  // expiry or warning of what shards may hold untouched
  WaitNotes notes_;
  bool is_exhaustion_due_ = false;  // since the last setback
  bool is_finding_ = false;
  unsigned ending_ = 0;
  unsigned turn_ = 0;  // the shard asked first for hunger
};

}  // namespace sluice::engine::queue
