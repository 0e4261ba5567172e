#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "engine/smtp/command_writer.h"
#include "engine/smtp/exchange.h"
#include "engine/smtp/extensions.h"
#include "engine/smtp/login.h"
#include "engine/smtp/opening.h"
#include "engine/smtp/reply_parser.h"
#include "engine/smtp/transaction.h"
#include "engine/smtp/trouble.h"
#include "engine/smtp/verdict.h"

namespace sluice::engine::smtp {

/// The SMTP client as a pure machine: no descriptor, no clock, no allocation but for a reply cut in
/// two by the network or of several lines (ReplyParser says how much, and it is freed at once), and
/// for a login. Octets and events in; octets, wishes, a stage (whose deadline the caller keeps) and
/// verdicts out. Under 1 KiB.
///
/// Two cursors run over one order of commands: the send cursor (produce) and the receive cursor
/// (receive), which never passes it. With PIPELINING (RFC 2920) the envelope of the next
/// transaction follows the final dot in the same flight: one round trip a message. Without it the
/// window is one command; the code is the same.
///
/// Every recipient of every transaction offered gets exactly one of: a verdict, its return because
/// the peer takes no more beside those that it accepted, or the return of its whole transaction
/// untried. Transactions end in the order of their offers.
class Client {
 public:
  /// Callbacks come from within receive(), produce() (refusals of our own only) and fail(). They
  /// may call offer(), quit() and const functions of the machine; nothing else, and the machine
  /// must outlive the call they come from.
  class Listener {
   public:
    /// The verdict on one recipient. This or recipient_returned(), once for each recipient of a
    /// transaction that was begun.
    virtual void recipient_ended(TransactionNumber transaction, unsigned recipient,
                                 const Verdict& verdict) = 0;
    /// The peer took others and no more in this transaction (RFC 5321 section 4.5.3.1.10): no
    /// verdict on this recipient, who belongs in another one.
    virtual void recipient_returned(TransactionNumber transaction, unsigned recipient) = 0;
    /// All recipients of the transaction have their end; what it borrows may go. A good place
    /// to offer() the next but one.
    virtual void transaction_ended(TransactionNumber transaction) = 0;
    /// The transaction was offered, and nothing of it can have been accepted: try it elsewhere or
    /// later. It is no longer borrowed. None of its recipients had an end.
    virtual void transaction_returned(TransactionNumber transaction) = 0;
    /// Of a transaction that withholds its dot: all of its content was produced. release_dot() is
    /// awaited; until then nothing was accepted.
    virtual void dot_withheld(TransactionNumber transaction) = 0;
    /// The greeting and EHLO or HELO were accepted, with TLS and a login where they are asked for:
    /// the peer can take mail.
    virtual void session_opened() = 0;
    /// The session cannot go on (refused greeting, 421, garbage, limits passed, or fail() was
    /// called); `verdict` says why. All transactions have ended or been returned. The caller closes
    /// the connection. `verdict.result` is `permanent` only when the greeting, HELO, STARTTLS, AUTH
    /// or RSET was answered 5xx; that says nothing about a message.
    virtual void session_failed(const Verdict& verdict) = 0;

   protected:
    ~Listener() = default;
  };

  static constexpr size_t reply_line_bytes_max =
      ReplyParser::reply_line_bytes_max;  // RFC 5321 asks for 512; be liberal
  static constexpr size_t reply_bytes_max =
      ReplyParser::reply_bytes_max;  // all lines of a reply; more, or over 128 lines, ends the
                                     // session
  static constexpr unsigned transactions_open_max =
      2;  // the one whose replies are awaited and the one whose envelope is under way
  static constexpr size_t recipients_max = Exchange::recipients_max;  // of a transaction
  static constexpr size_t produce_bytes_min =
      CommandWriter::command_bytes_max;  // of produce()'s `out`
  static constexpr size_t hostname_bytes_max = CommandWriter::hostname_bytes_max;

  /// `hostname` is for EHLO, fit to be written, and outlives the machine.
  Client(std::string_view hostname, Listener& listener, const Opening& opening = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// May another transaction be offered now? (The session is not ending, and fewer than
  /// transactions_open_max are open.) Also before the greeting has come.
  bool wants_transaction() const;
  TransactionNumber offer(const Transaction& transaction);

  /// The final dot of an open transaction, withheld so far, may go: call produce().
  void release_dot(TransactionNumber transaction);

  /// No further transactions will come: QUIT when those offered have ended. Also ends an idle
  /// session.
  void quit();

  /// STARTTLS was granted (RFC 3207): what comes and goes now is a handshake, and nothing of this
  /// machine's. tls_started() when it is over, or fail().
  bool awaits_tls() const { return phase_ == Phase::handshake; }
  /// What is received and produced from here on is so under TLS. All that the peer said before is
  /// forgotten. `is_authenticated`: it is the one meant, as RFC 8689 section 4.2.1 demands of those
  /// who get what requires TLS.
  void tls_started(bool is_authenticated);

  /// Octets from the peer, split anywhere. Runs the listener's callbacks. What comes after the end
  /// is dropped.
  void receive(std::span<const char> octets);

  /// Writes what is to be sent now into `out`, at most out.size() octets, and returns their number;
  /// 0: nothing until more is received or offered. What was returned counts as sent: once the final
  /// dot was written, only a reply tells what became of the message. `out` holds at least
  /// produce_bytes_min octets, the longest command; content fills all of it. Call it until it
  /// returns 0 after each receive(), offer() and quit().
  ///
  /// Runs callbacks for what is refused here: content too large for the peer's SIZE (5.3.4),
  /// 8BITMIME (5.6.3), SMTPUTF8 (5.6.7) or REQUIRETLS (5.7.30) lacking, a sender (5.1.7) or a
  /// recipient (5.1.3) that could not be written without becoming another command.
  size_t produce(std::span<char> out);

  /// The connection broke, timed out or is to be given up: `reason` in our words ("timed out after
  /// 300 s"). A transaction whose final dot was produced ends as `unknown`, one begun before as
  /// `transient`, those not begun are returned; then session_failed(). Nothing happens when
  /// is_closed().
  ///
  /// Begun is a transaction whose MAIL was produced while no other's reply was awaited before its
  /// own; but when another had ended by the peer's word in this session and not even MAIL was
  /// answered, it is returned: a peer that closes after so many messages says nothing about the
  /// next one. 421 to MAIL is no answer in this sense.
  void fail(std::string_view reason);

  /// What the peer owes us now; the caller arms this stage's deadline whenever it changes or
  /// progress was made. `block` while content is being sent, `idle` when nothing is open.
  Stage stage() const;

  /// QUIT was answered, or session_failed() called: close.
  bool is_closed() const { return phase_ == Phase::closed; }

  /// Whole replies taken so far: what tells a peer that answers from one that only sends octets.
  uint64_t replies() const { return replies_; }

  using Extensions = smtp::Extensions;
  const Extensions& extensions() const { return extensions_; }

 private:
  enum class Phase : uint8_t {
    greeting,
    hello,
    hello_sent,
    starttls,
    starttls_sent,
    handshake,
    auth,  // a line of the login is to be sent
    auth_sent,
    open,
    quit_sent,
    closed
  };
  /// What must be said before the next MAIL, when a transaction did not end with its content. Then
  /// nothing else is outstanding. `rset`: MAIL was granted and DATA refused or not sent (RFC 5321
  /// section 4.1.4). `dot`: 354 though no recipient stood (RFC 2920 section 3.1).
  enum class MopUp : uint8_t { none, rset, rset_sent, dot, dot_sent };

  Exchange& at(unsigned i) { return exchanges_[(first_ + i) % transactions_open_max]; }
  const Exchange& at(unsigned i) const { return exchanges_[(first_ + i) % transactions_open_max]; }
  Exchange* sending();

  /// What the next reply answers; `block` and `idle` as in rule().
  Stage awaited() const;

  bool produce_next(CommandWriter& out);
  bool produce_opening(CommandWriter& out);
  bool produce_mop_up(CommandWriter& out);
  bool produce_of(Exchange& exchange, CommandWriter& out);
  bool produce_content(Exchange& exchange, CommandWriter& out);
  bool check(Exchange& exchange);

  void take(const Reply& reply);
  void take_hello(const Ruling& ruling, const Reply& reply);
  void take_starttls(const Ruling& ruling, const Reply& reply);
  void take_challenge(const Reply& reply);
  void take_auth(const Reply& reply);
  void begin_login();
  void open();
  void take_for(Exchange& exchange, Stage awaited, const Ruling& ruling, const Reply& reply);
  void take_data_granted(Exchange& exchange, const Reply& reply);

  void decide(Exchange& exchange, unsigned recipient, const Verdict& verdict);
  void give_back(Exchange& exchange, unsigned recipient);
  void decide_unwritable(Exchange& exchange);
  void decide_rest(Exchange& exchange, const Verdict& verdict);
  void end_first(MopUp mop_up, bool by_peer);
  void end_session(const Verdict& verdict);
  void end_opening(Stage stage, std::string_view reason, std::string_view text = {});

  Listener& listener_;
  std::string_view hostname_;
  const Opening opening_;
  std::unique_ptr<Login> login_;  // while it goes on
  ReplyParser parser_;
  Extensions extensions_;
  Phase phase_ = Phase::greeting;
  MopUp mop_up_ = MopUp::none;
  bool uses_helo_ = false;
  bool is_under_tls_ = false, is_authenticated_ = false;
  bool is_quitting_ = false;
  bool has_ended_one_ = false;  // a transaction ended by the peer's word
  bool is_in_callbacks_ = false;
  uint8_t first_ = 0, open_ = 0;  // of exchanges_, a ring
  uint64_t replies_ = 0;
  TransactionNumber offered_ = 0;
  std::array<Exchange, transactions_open_max> exchanges_;
};

static_assert(sizeof(Client) <= 1024);

}  // namespace sluice::engine::smtp
