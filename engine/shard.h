#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/dns/host_finder.h"
#include "engine/ender.h"
#include "engine/fates.h"
#include "engine/intake/smtp_intake.h"
#include "engine/mesh.h"
#include "engine/outlet.h"
#include "engine/queue/home_queue.h"
#include "engine/report/counters.h"
#include "engine/send_buffers.h"
#include "engine/session.h"
#include "engine/session_tls.h"
#include "engine/signing_desk.h"
#include "engine/sts/policy_finder.h"
#include "engine/tlsrpt/notebook.h"
#include "io/event_loop.h"
#include "io/slot_pool.h"

namespace sluice::engine {

class Coordinator;

/// One core's part of the engine: its loop, sessions, outlets, journal and log, and the queues
/// whose home it is. Speaks with other shards through the mesh only. All work of a turn that can be
/// gathered is gathered in turn_ended().
class Shard final : io::TurnEnd, Fates::Owner, Ender::Owner, intake::SmtpIntake::Owner {
 public:
  struct Setup {
    unsigned index = 0;
    report::Counters& counters;
    std::string hostname, spool, log;
    uint64_t journal_sequence = 1;
    std::vector<spool::SealedSegment> sealed;  // of earlier runs, for shard 0
    uint32_t socket_slots = 65536;  // of the ring; an eighth is left to others than sessions
    InDoubtPolicy in_doubt = InDoubtPolicy::resend;
    dns::HostFinder::Options dns;
    dkim::KeyringPtr keys;
    notices::Notifier::Options notices;
    bool listens = false;  // takes mail in, now as `listen` has it
    intake::SmtpListeners listen;
    intake::Errands* errands = nullptr;     // where it listens
    sts::PolicyKeeper* policies = nullptr;  // null: no domain has one
    tlsrpt::Reporter* reporter = nullptr;   // null: nothing is reported
  };

  Shard(io::EventLoop& loop, Mesh& mesh, const Setup& setup);
  ~Shard();

  /// Opens the journal and the log, and listens; the error is one line for the operator. Blocking.
  std::expected<void, std::string> open(Setup&& setup);
  /// Shard 0 only: the letters to the coordinator go to `coordinator`.
  void set_coordinator(Coordinator& coordinator) { coordinator_ = &coordinator; }

  unsigned index() const { return index_; }
  io::EventLoop& loop() { return loop_; }
  Fates& fates() { return fates_; }
  report::ShardCounters& counters() { return counters_.shards[index_]; }
  /// Shard 0 only.
  report::EngineCounters& engine_counters() { return counters_.engine; }
  SendBuffers& buffers() { return buffers_; }
  TlsDesk& tls() { return tls_; }
  SigningDesk& signing_desk() { return signing_desk_; }
  /// What TLS came to on each connection that got so far, and with each host that is not connected
  /// to for what DNS does not tell: whoever counts that does it here.
  void note_tls(const TlsOutcome& outcome);
  const std::string& hostname() const { return hostname_; }
  InDoubtPolicy in_doubt() const { return in_doubt_; }
  std::string& scratch() { return scratch_; }
  bool is_stopping() const { return stopping_; }
  bool is_stopped() const { return stopped_; }

  void post(unsigned to, Message&& message) { mesh_.post(index_, to, std::move(message)); }
  /// The outlet's turn_ended() is due.
  void mark(Outlet& outlet);

  /// nullptr: not now. An outlet that has no session is then marked when there is room for its
  /// first; the last quarter of all is for such first ones, so that a few destinations that hold
  /// many sessions do not keep others waiting. A session that idles makes room. An outlet that asks
  /// for more than a turn may open has its turn again, after others.
  Session* create_session(Outlet& outlet);
  /// The machine refused a socket: there is no room for new sessions for a moment.
  void socket_refused();
  /// The session may be told to finish(), for others to have its place, until it no longer idles.
  void session_idles(Session& session);
  void session_busy(Session& session);
  /// Destroys the session at the end of the turn: its operations' callbacks may be on the stack.
  void bury(Session& session) { graves_.push_back(&session); }
  void wait_for_buffer(Session& session);
  void stop_waiting_for_buffer(Session& session) { std::erase(buffer_waiters_, &session); }

 private:
  struct Home final : queue::HomeQueue::Outside {
    Home(Shard& s, const Route& route) : shard(s), queue(route, s.mesh_.shards(), s.in_doubt_) {
      timer.bind<&Home::due>(this);
    }
    void due() { shard.mark(*this); }
    void grant(unsigned to, std::unique_ptr<Batch> batch, bool is_asked) override;
    void permit(unsigned to, uint32_t sessions, const HostPlan& plan) override;
    void end(std::unique_ptr<Batch> batch, const queue::Ending& ending) override;
    void find_hosts() override;
    void recall() override;
    void depart(AddSource&& departure) override;
    void note_wait(const Mailing& mailing, const Waited& waited) override;

    Shard& shard;
    queue::HomeQueue queue;
    io::Timer timer;
    bool is_marked = false;
    bool was_idle = false;              // at the last sweep
    uint64_t held = 0, backed_off = 0;  // of it in the shard's queue_news_
  };

  void turn_ended() override;
  void storage_changed(const std::string& message) override;
  void letters_came(Letters&& letters) override { post(0, std::move(letters)); }
  void log(const report::LogEntry& entry) override { fates_.log(entry); }
  void trouble(const std::string& problem) override { post(0, Trouble{problem}); }
  bool is_storage_paused() const override { return fates_.is_paused(); }
  void ended(const Route& route, std::vector<Returned>&& returned) override;
  queue::HomeQueue::Now queue_now();
  void handle(Message&& message);
  void mark(Home& home);
  Home& home(const Route& route);
  void add_source(AddSource& source);
  void reload(Reload& news);
  void search(Home& home);
  void look_for_policy(Home& home, dns::HostListPtr list);
  void note_unsafe(const TlsOutcome& outcome, std::span<const dns::UnsafeHost> hosts);
  void hosts_found(Home& home, dns::HostListPtr list);
  Outlet& outlet(const Route& route);
  void serve_homes();
  void count(Home& home);
  void sweep();
  void forget(const Route& route);
  void serve_outlets();
  bool has_room_for(const Outlet& outlet) const;
  void end_shortage() { offer_slots(); }
  void offer_slots();
  void bury_sessions();
  void stop(bool now);
  void check_stopped();
  void tell_news();

  const unsigned index_;
  io::EventLoop& loop_;
  Mesh& mesh_;
  const std::string hostname_;
  const InDoubtPolicy in_doubt_;
  Coordinator* coordinator_ = nullptr;
  report::Counters& counters_;
  Fates fates_;
  dns::HostFinder finder_;
  sts::PolicyFinder policies_;
  tlsrpt::Reporter* const reporter_;
  tlsrpt::Notebook notebook_;
  Ender ender_;
  SendBuffers buffers_;
  TlsDesk tls_;
  SigningDesk signing_desk_;
  std::unique_ptr<intake::SmtpIntake> intake_;  // null: it does not listen
  io::SlotPool<Session> sessions_;
  std::shared_ptr<const queue::Routing> routing_;        // of the last reload; null: there was none
  std::map<uint32_t, std::unique_ptr<Home>> homes_;      // by the route's number
  std::map<uint32_t, std::unique_ptr<Outlet>> outlets_;  // likewise
  std::vector<Home*> marked_homes_;
  std::deque<Home*> seekers_;  // of hosts, in turn
  std::deque<Outlet*> marked_outlets_;
  std::vector<Session*> graves_;
  std::deque<Session*> buffer_waiters_;
  /// connect(2) does much of its work at once: a turn that opened thousands would keep the timers
  /// of all sessions waiting.
  static constexpr unsigned sessions_a_turn_max = 16;
  unsigned sessions_to_open_ = 0;     // in this turn
  std::deque<Outlet*> slot_waiters_;  // each has no session
  std::list<Session*> idle_;          // those that idle for longest first
  io::Timer shortage_;                // armed: the machine has no more sockets
  std::string scratch_;
  io::Timer sweep_;
  QueueNews queue_news_, queue_news_sent_;
  bool stopping_ = false, stopped_ = false, grace_is_over_ = false;
};

}  // namespace sluice::engine
