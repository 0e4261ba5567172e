#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/mailing.h"
#include "engine/mesh.h"
#include "engine/notices/notifier.h"
#include "engine/queue/retry.h"
#include "engine/report/counters.h"
#include "engine/report/transaction_log.h"
#include "io/event_loop.h"
#include "spool/journal.h"

namespace sluice::engine {

/// Where a shard's verdicts become durable. They are gathered until there are 16 or 5 ms have
/// passed (an intent, for which a final dot waits, goes at once): nobody waits for one of them, and
/// a sync each would take disk and core from mail that comes in, whose clients do wait. Then a
/// cycle: the log lines are written, then the outcomes are journalled and synced; what is recorded
/// meanwhile is gathered for the next. In this order, a fate that survives has its line; a crash
/// between the two leaves a line of a delivery that really happened, and a second one if it is
/// repeated. Only when an outcome is durable does anybody count it: then the tally goes to the
/// coordinator and the deferred go back to their queue.
class Fates final : spool::Journal::Listener,
                    report::TransactionLog::Listener,
                    notices::Notifier::Owner {
 public:
  class Owner {
   public:
    /// Storage refuses (`message` says why) or works again (""): no new message starts in between.
    virtual void storage_changed(const std::string& message) = 0;

   protected:
    ~Owner() = default;
  };

  /// Who wants to know that an intent is durable: a final dot waits for it.
  class Intender {
   public:
    virtual void intent_durable(smtp::TransactionNumber transaction) = 0;

   protected:
    ~Intender() = default;
  };

  Fates(io::EventLoop& loop, Mesh& mesh, unsigned shard, Owner& owner,
        report::ShardCounters& counters, const notices::Notifier::Options& notices)
      : loop_(loop),
        mesh_(mesh),
        shard_(shard),
        owner_(owner),
        counters_(counters),
        notifier_(loop, notices, *this) {
    gather_timer_.bind<&Fates::time_is_up>(this);
  }

  /// Both are opened with this object's listener(s) by the shard.
  void attach(std::unique_ptr<spool::Journal> journal, std::unique_ptr<report::TransactionLog> log);
  spool::Journal::Listener& journal_listener() { return *this; }
  report::TransactionLog::Listener& log_listener() { return *this; }

  /// What became of an attempt, which `item` counts, or of a recipient without one. Completes
  /// `entry` (event, time, campaign, id, attempt, next_attempt, expires) and logs it. `why`: what a
  /// deferred recipient waits for, kept with it. A fate that its sender is told of is journalled
  /// behind the notice.
  void record(const Route& route, Held& held, Item item, const queue::Decision& decision,
              SetbackPtr why, report::LogEntry& entry);
  /// It waits for long, and its sender is told: once, `item` says so from now on.
  void record_delay(const Route& route, Held& held, Item item, io::Instant next_attempt,
                    report::LogEntry& entry);
  /// A recipient that cannot be read from the spool: failed, with what we know.
  void record_unreadable(const Route& route, const Mailing& mailing, Item item);
  /// Its queue had a setback, and it waits on: logged. note_wait() is what a restart knows it by.
  void tell_waiting(const Route& route, const Mailing& mailing, Item item, io::Instant until,
                    report::LogEntry& entry);
  /// Whether it arrived is unknown since an earlier run, and it is held: logged.
  void tell_held(const Route& route, const Mailing& mailing, Item item, report::LogEntry& entry);
  /// The final dot of the attempt that `items` count is about to leave: intent_durable() follows
  /// once, for all of them, unless forget() comes first.
  void intend(const Mailing& mailing, const std::vector<Item>& items, Intender& intender,
              smtp::TransactionNumber transaction);
  void forget(Intender& intender);
  /// As HomeQueue::Outside.
  void note_wait(const Mailing& mailing, const Waited& waited);
  void log(const report::LogEntry& entry) { log_->append(entry); }

  /// Starts a cycle when one is due and none runs.
  void turn_ended(uint32_t sessions);

  bool is_paused() const { return paused_; }
  /// Everything recorded is durable and told.
  bool is_idle() const {
    return !cycling_ && gathered_.empty() && !log_->has_pending() && notifier_.is_idle();
  }
  /// No more is coming: notices are not waited for.
  void hurry() { notifier_.hurry(); }

  void campaign_finished(uint64_t uid) { journal_->campaign_finished(uid); }
  void reopen_log() { log_->reopen(); }

 private:
  struct Recorded {
    const Route* route = nullptr;
    const Mailing* mailing = nullptr;  // null for notes, which may outlive it
    uint64_t uid = 0;
    Item item;  // attempts made so far
    spool::OutcomeKind kind = spool::OutcomeKind::deferred;
    bool unreadable = false;
    bool is_note = false;  // for the journal alone: nobody is told
    io::WallTime next_attempt{};
    io::WallTime at{};  // of `waited`
    io::Instant due{};
    SetbackPtr why;
    Intender* intender = nullptr;
    smtp::TransactionNumber transaction = 0;
  };
  void complete(report::LogEntry& entry, const Mailing& mailing, Item item);
  io::WallTime wall_of(io::Instant instant) const { return loop_.wall() + (instant - loop_.now()); }
  uint64_t tell_sender(const queue::Decision& decision, Held& held, const report::LogEntry& entry);
  void gather_behind(uint64_t ticket, Recorded&& recorded);
  void gather(Recorded&& recorded) { gathered_.push_back(std::move(recorded)); }
  bool is_due() const;
  void time_is_up() { is_time_up_ = true; }
  void tell(Recorded& recorded);
  void count(const Recorded& recorded);
  void storage(std::string& problem, const std::string& message);

  void journal_committed(uint64_t position) override;
  void journal_stalled(const spool::Error& error) override {
    storage(journal_problem_, error.message);
  }
  void journal_resumed() override { storage(journal_problem_, ""); }
  void log_flushed() override;
  void log_stalled(const std::string& message) override { storage(log_problem_, message); }
  void log_resumed() override { storage(log_problem_, ""); }
  void notices_queued(uint64_t ticket) override;
  void notices_changed(const std::string& message) override { storage(notice_problem_, message); }

  io::EventLoop& loop_;
  Mesh& mesh_;
  const unsigned shard_;
  Owner& owner_;
  report::ShardCounters& counters_;
  std::unique_ptr<spool::Journal> journal_;
  std::unique_ptr<report::TransactionLog> log_;
  notices::Notifier notifier_;
  struct Behind {
    uint64_t ticket;
    Recorded recorded;
  };
  std::deque<Behind> behind_notices_;  // in the order of their tickets
  std::vector<Recorded> gathered_;     // for the next cycle
  // Of the cycle that runs, not durable yet; the front gets or has position committed_ + 1.
  std::deque<Recorded> committing_;
  uint64_t committed_ = 0;
  io::Timer gather_timer_;
  bool is_time_up_ = false;
  bool cycling_ = false, paused_ = false;
  std::string journal_problem_, log_problem_, notice_problem_;
  std::string id_;  // scratch
  Tally tally_;
  std::vector<GiveBack> back_;
};

}  // namespace sluice::engine
