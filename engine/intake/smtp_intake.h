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
#include "engine/intake/smtp_listener.h"
#include "engine/intake/smtp_session.h"
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
class SmtpIntake final : spool::MailWriter::Listener {
 public:
  class Owner {
   public:
    virtual void letters_came(Letters&& letters) = 0;
    virtual void log(const report::LogEntry& entry) = 0;
    /// One line for the operator.
    virtual void cannot_listen(const std::string& problem) = 0;
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
  /// began. An address that cannot be listened on is left out: cannot_listen().
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
  std::optional<uint64_t> hand_over(SmtpSession& session, const spool::NewMail& mail,
                                    std::string_view sender, std::string_view message_id);
  /// The session ends before its answer: the message stands.
  void forget(uint64_t ticket) { at(ticket).session = nullptr; }
  /// The errand's number: SmtpSession::errand_done() follows. nullopt: not now.
  std::optional<uint64_t> run(SmtpSession& session, Errand&& errand);
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
  /// A message that the writer has.
  struct Handed {
    SmtpSession* session = nullptr;
    std::string sender, message_id;
    uint64_t bytes = 0;
  };

  Door& add_door(const SmtpListenerPtr& listener);
  void close(Door& door);
  void accepted(Door& door, io::Accept& op, const io::Completion& completion);
  bool make_room(const Door& door);
  std::string_view objection_to(const Door& door, const io::SocketAddress& client);
  void accept_again();
  void take_results();
  Handed& at(uint64_t ticket) { return handed_[ticket - settled_ - 1]; }
  void log_accepted(const Handed& handed, const spool::BlockRef& block, const std::string& id);

  void mail_durable(uint64_t first_ticket, uint32_t count,
                    const std::shared_ptr<const spool::MailSegment>& segment,
                    uint32_t first_block) override;
  void mail_sealed(const std::shared_ptr<const spool::MailSegment>& segment) override;
  void mail_stalled(const spool::Error& error) override;
  void mail_resumed() override { stall_.clear(); }

  io::EventLoop& loop_;
  Owner& owner_;
  const unsigned shard_;
  const std::string hostname_;
  Errands* const errands_;
  spool::MailWriter writer_;
  std::list<Door> doors_;
  io::SlotPool<SmtpSession> sessions_;
  std::map<std::string, uint32_t, std::less<>> clients_;  // sessions by address
  std::vector<SmtpSession*> marked_, graves_;
  std::list<SmtpSession*> steps_;  // all sessions, by when they last came forward
  std::deque<Handed> handed_;      // by ticket, from settled_ + 1 on
  uint64_t settled_ = 0;
  std::unordered_map<uint64_t, SmtpSession*> errands_under_way_;  // by number
  uint64_t errand_numbers_ = 0;
  uint64_t content_bytes_ = 0;
  uint64_t message_ids_ = 0;
  std::string stall_;  // why the disk refuses
  io::Timer accept_timer_;
  bool stopping_ = false;
};

}  // namespace sluice::engine::intake
