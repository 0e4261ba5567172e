#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/intake/errands.h"
#include "engine/intake/large_letter.h"
#include "engine/intake/smtp_listener.h"
#include "engine/intake/smtp_session.h"
#include "engine/letter.h"
#include "engine/message.h"
#include "engine/report/transaction_log.h"
#include "io/event_loop.h"
#include "io/slot_pool.h"
#include "spool/mail_writer.h"

namespace sluice::engine::intake {

/// A shard's SMTP server: it listens (each shard by itself, the kernel spreads the clients), speaks
/// with clients, and makes durable what they hand over; only then are they told 250, and only then
/// does the coordinator hear of it.
///
/// Bounded by: sessions (the listener's limits, and the sockets of the ring), content_bytes_max of
/// messages on their way in, and the writer's buffers. What goes beyond is answered 4xx, and taken
/// again as soon as there is room: deliveries do not wait for it.
class SmtpIntake {
 public:
  class Owner {
   public:
    virtual void letters_came(Letters&& letters) = 0;
    virtual void log(const report::LogEntry& entry) = 0;
    /// One line for the operator.
    virtual void trouble(const std::string& problem) = 0;
    /// Journal or log cannot be written: nothing new is to be taken.
    virtual bool is_storage_paused() const = 0;

   protected:
    ~Owner() = default;
  };
  struct Options {
    unsigned shard = 0;
    std::string hostname, spool;
    uint64_t sequence = 1;  // of its first segment
    std::vector<SmtpListenerPtr> listen;
    Errands* errands = nullptr;  // outlives it; null: there are none to be done
    uint32_t sessions_max = 0;
  };

  SmtpIntake(io::EventLoop& loop, const Options& options, Owner& owner);
  SmtpIntake(const SmtpIntake&) = delete;
  /// Waits until nothing of it is in flight, also when it was never stopped: a start that failed.
  ~SmtpIntake();

  /// Blocking. The error is one line for the operator.
  std::expected<void, std::string> listen();
  /// Listens as `wanted` has it from now on: new sessions go by it, those under way end as they
  /// began. An address that cannot be listened on is left out, and told.
  void reload(const SmtpListeners& wanted);
  /// Listens no more; sessions end after what they are owed.
  void stop(bool now);
  bool is_idle() const;
  void turn_ended();

  /// Of all messages on their way in.
  static constexpr uint64_t content_bytes_max = 256 * 1024 * 1024;

  // --- For its sessions. ---

  io::EventLoop& loop() { return loop_; }
  const std::string& hostname() const { return hostname_; }
  void mark(SmtpSession& session);
  /// The session came a step forward: of those that wait for their client it is the last to yield
  /// its place to another.
  void stepped(SmtpSession& session) { steps_.splice(steps_.end(), steps_, session.place); }
  /// Why no message can be taken now; "" when one can.
  std::string_view pressure() const;
  /// False: there is no room for so many octets more.
  bool reserve(uint64_t octets);
  void give_back(uint64_t octets) { content_bytes_ -= octets; }
  /// A unique `<...@hostname>`.
  std::string new_message_id();
  /// The message's ticket: message_answered() follows. nullopt: not now.
  std::optional<MailTicket> hand_over(SmtpSession& session, const spool::NewMail& mail,
                                      Priority priority, std::string_view sender,
                                      std::string_view message_id);
  /// For a message that outgrew spool::mail_bytes_max.
  LargeLetter& begin_large(SmtpSession& session, Priority priority);
  /// The reply to it.
  std::string large_letter_durable(const LargeLetter& letter,
                                   const std::shared_ptr<const spool::MailSegment>& segment);
  /// The session ends before its answer: the message stands.
  void forget(MailTicket ticket);
  /// The errand's number: SmtpSession::errand_done() follows. nullopt: not now.
  std::optional<uint64_t> run(SmtpSession& session, Errand&& errand);
  void tell_of_wrong_password(const SmtpSession& session);
  /// The session ends before its errand is done.
  void forget_errand(uint64_t number) { errands_under_way_.erase(number); }
  /// May be destroyed once this returns.
  void ended(SmtpSession& session);

 private:
  struct Door {
    SmtpListenerPtr listener;
    io::Listen listen;
    io::Accept accept;
    io::CloseSocket close;
    uint32_t sessions = 0;
    SmtpIntake* intake = nullptr;
    bool is_closing = false;
    const std::string& address() const { return listener->policy.address; }
    void accepted(io::Accept& op, const io::Completion& completion);
    void listening(io::Listen& op, const io::Completion& completion);
    bool is_closed() const {
      return is_closing && !listen.in_flight && !accept.in_flight && !close.in_flight &&
             !listen.socket.is_open();
    }
  };
  /// A message that a writer has.
  struct Handed {
    SmtpSession* session = nullptr;
    std::string sender, message_id;
    uint64_t bytes = 0;
  };
  /// The messages of one priority: a segment is of one.
  struct Lane final : spool::MailWriter::Listener {
    Lane(SmtpIntake& i, const Options& options, Priority priority)
        : intake(i),
          writer(i.loop_, options.spool, options.shard, options.sequence, *this,
                 class_of(priority)) {}
    void mail_durable(uint64_t first_ticket, uint32_t count,
                      const std::shared_ptr<const spool::MailSegment>& segment,
                      uint32_t first_block) override;
    void mail_sealed(const std::shared_ptr<const spool::MailSegment>& segment) override;
    void mail_stalled(const spool::Error& error) override;
    void mail_resumed() override { is_stalled = false; }

    SmtpIntake& intake;
    spool::MailWriter writer;
    std::deque<Handed> handed;  // by ticket, from settled + 1 on
    uint64_t settled = 0;
    bool is_stalled = false;  // the disk refuses
  };

  Door& add_door(const SmtpListenerPtr& listener);
  void close(Door& door);
  void accepted(Door& door, io::Accept& op, const io::Completion& completion);
  bool make_room(const Door& door);
  std::string_view objection_to(const Door& door, const io::SocketAddress& client);
  void accept_again();
  void take_results();
  void log_accepted(const Handed& handed, const spool::BlockRef& block, const std::string& id);

  io::EventLoop& loop_;
  Owner& owner_;
  const unsigned shard_;
  const std::string hostname_, spool_;
  const uint64_t sequence_;
  Errands* const errands_;
  std::list<Lane> lanes_;  // by Priority
  std::list<Door> doors_;
  io::SlotPool<SmtpSession> sessions_;
  std::map<std::string, uint32_t, std::less<>> clients_;  // sessions by address
  std::vector<SmtpSession*> marked_, graves_;
  std::list<SmtpSession*> steps_;  // all sessions, by when they last came forward
  std::list<LargeLetter> large_;
  std::unordered_map<uint64_t, SmtpSession*> errands_under_way_;  // by number
  uint64_t errand_numbers_ = 0;
  uint64_t content_bytes_ = 0;
  uint64_t message_ids_ = 0;
  io::Timer accept_timer_;
  bool stopping_ = false;
};

}  // namespace sluice::engine::intake
