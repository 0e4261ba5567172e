#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/intake/errands.h"
#include "engine/intake/large_letter.h"
#include "engine/intake/smtp_listener.h"
#include "engine/mail/incoming_head.h"
#include "engine/smtp/server.h"
#include "engine/tls/channel.h"
#include "io/op.h"
#include "io/timer_wheel.h"

namespace sluice::engine::intake {

class SmtpIntake;

/// A message that the writer of its priority has.
struct MailTicket {
  Priority priority = Priority::normal;
  uint64_t number = 0;
};

/// The I/O of one client's session: a connection that was accepted, the pure machines that speak on
/// it (SMTP, and TLS around it), one receive, at most one send, one timer; and the message that is
/// on its way.
///
/// While an answer is owed (a message is not durable yet, a password not checked) nothing further
/// is taken from the client: what it sends meanwhile is kept, and beyond input_bytes_max no longer
/// received. A client that does not read its replies is not served either.
class SmtpSession {
 public:
  SmtpSession(SmtpIntake& intake, SmtpListenerPtr listener, io::Socket socket,
              const io::SocketAddress& client);
  SmtpSession(const SmtpSession&) = delete;
  SmtpSession& operator=(const SmtpSession&) = delete;

  /// `instead`: the greeting that turns the client away; "" for none.
  void start(std::string_view instead);
  /// The message that was handed to the writer is durable, or refused: the reply to it.
  void message_answered(std::string_view reply);
  /// Of the disk that a large message goes to: see LargeLetter.
  void has_room_again();
  void content_refused();
  /// The errand that it waits for was done.
  void errand_done(const ErrandResult& result);
  /// 421, as soon as no message of it is owed an answer.
  void stop();
  /// It waits for its client, in the middle of nothing: it may be told to yield().
  bool may_yield() const;
  /// 421 now, for another to have its place.
  void yield() { abort("421 4.7.0 Too many sessions, and this one waited for you the longest"); }
  /// The connection broke, or is given up.
  void lost();
  /// Sends what the turn's commands were answered with: one send a turn.
  void turn_ended();

  const io::SocketAddress& client() const { return client_; }
  const SmtpListener& listener() const { return *listener_; }
  // The intake's:
  bool is_marked = false;  // turn_ended() is due
  std::list<SmtpSession*>::iterator place;

  static constexpr size_t input_bytes_max = 64 * 1024;
  static constexpr size_t output_bytes_max = 16 * 1024;
  static constexpr unsigned wrong_passwords_max = 3;

 private:
  using Bytes = std::span<const std::byte>;

  void received(io::Receive&, const io::Completion& completion);
  void sent(io::Send&, const io::Completion& completion);
  void closed(io::CloseSocket&, const io::Completion&);
  void expired();

  bool is_paused() const;
  void decrypt(Bytes octets);
  void take(Bytes input);
  void work(Bytes& input);
  void resume();
  void deal_with(smtp::Server::Event event);
  void answer(std::string_view reply = {}) { server_.answer(out_, reply); }
  void begin_tls();
  bool is_shaking_hands() const;
  bool has_output() const;
  void run(Errand&& errand);
  void check_password();
  void refuse_password(bool was_looked_at, io::Duration delay);
  void start_queue();
  bool may_relay() const;
  std::string client_key() const;
  void begin_transaction();
  std::string_view objection_to_recipient();
  void begin_content();
  void take_piece();
  void store(std::string_view octets);
  void begin_large();
  bool awaits_durability() const { return ticket_ || (large_ && large_->is_finished()); }
  void hand_over();
  void forget_content();
  void arm_deadline();
  void receive_on();
  void abort(std::string_view reply);
  void try_to_end();

  SmtpIntake& intake_;
  const SmtpListenerPtr listener_;
  const io::SocketAddress client_;
  smtp::Server server_;
  io::Socket socket_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  io::Timer timer_;
  std::string input_;  // what came while nothing was taken
  std::string out_, sending_;
  std::unique_ptr<tls::Channel> channel_;  // null: no TLS
  std::string wire_;                       // with TLS: what is to be sent as it is
  bool is_certified_ = false;              // the client's certificate is one that may relay
  std::string content_;                    // of the message on its way, with our Received field
  LargeLetter* large_ = nullptr;           // instead, when it is too large
  uint64_t content_come_ = 0;              // octets of it
  bool waits_for_room_ = false;            // until has_room_again(); what comes before that is kept
  std::string message_id_;
  mail::IncomingHead head_;
  std::optional<MailTicket> ticket_;  // of the message that the writer has
  std::optional<uint64_t> errand_;    // that it waits for
  std::string late_reply_;            // to a wrong password, when the timer says so
  unsigned wrong_passwords_ = 0;
  bool stopping_ = false;
  bool closing_ = false;  // nothing is taken any more; it ends when all is sent
  bool gone_ = false;     // nothing can be sent any more
};

}  // namespace sluice::engine::intake
