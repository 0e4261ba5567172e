#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/smtp/verdict.h"

namespace sluice::engine::smtp {

/// A message's content, read once from front to back in wire form: CRLF lines, dot-stuffed, ending in CRLF, without the final dot.
class Body {
 public:
  /// Fills `out` from where the last call ended; 0 only at the end. Never allocates.
  virtual size_t read(std::span<char> out) = 0;

 protected:
  ~Body() = default;
};

/// One mail transaction (RFC 5321 section 3.3), borrowed by the machine from offer() to transaction_ended().
struct Transaction {
  std::string_view sender;                      // without <>; "" is the null sender
  std::span<const std::string_view> recipients; // without <>; at least one
  uint64_t bytes = 0;                           // estimate for SIZE= (RFC 1870); 0 unknown
  bool needs_8bitmime = false;                  // RFC 6152: the content has octets over 127
  bool needs_smtputf8 = false;                  // RFC 6531: an address or a header has
  Body* body = nullptr;
};

/// Number of a transaction within its session: 0, 1, 2 ...
using TransactionNumber = uint32_t;

/// The SMTP client as a pure machine: no descriptor, no clock, no allocation. Octets and events in; octets, wishes, a stage (whose deadline the
/// caller keeps) and verdicts out.
///
/// Two cursors run over one order of commands: the send cursor (produce) and the receive cursor (receive), which never passes it. With PIPELINING
/// (RFC 2920) the envelope of the next transaction follows the final dot in the same flight: one round trip a message. Without it the
/// window is one command; the code is the same.
///
/// Every recipient of every transaction offered gets exactly one of: a verdict, or the return of its whole transaction untried.
class Client {
 public:
  class Listener {
   public:
    /// The verdict on one recipient. Once for each recipient of a transaction that was begun.
    virtual void recipient_ended(TransactionNumber transaction, unsigned recipient, const Verdict& verdict) = 0;
    /// All recipients of the transaction have their verdict; what it borrows may go. A good place to offer() the next but one.
    virtual void transaction_ended(TransactionNumber transaction) = 0;
    /// The transaction was offered, and nothing of it can have been accepted: try it elsewhere or later. It is no longer borrowed.
    virtual void transaction_returned(TransactionNumber transaction) = 0;
    /// The greeting and EHLO or HELO were accepted: the peer can take mail.
    virtual void session_opened() = 0;
    /// The session cannot go on (refused greeting, 421, garbage, limits passed, or fail() was called); `verdict` says why. All transactions have
    /// ended or been returned. The caller closes the connection.
    virtual void session_failed(const Verdict& verdict) = 0;

   protected:
    ~Listener() = default;
  };

  static constexpr size_t reply_line_bytes_max = 2048;    // RFC 5321 asks for 512; be liberal
  static constexpr size_t reply_bytes_max = 8192;         // all lines of a reply; more than this, or over 128 lines, ends the session
  static constexpr unsigned transactions_open_max = 2;    // the one whose replies are awaited and the one whose envelope is under way

  /// `hostname` is for EHLO and outlives the machine.
  Client(std::string_view hostname, Listener& listener);

  /// May another transaction be offered now? (The session is not ending, and fewer than transactions_open_max are open.) Also before
  /// the greeting has come.
  bool wants_transaction() const;
  TransactionNumber offer(const Transaction& transaction);

  /// No further transactions will come: QUIT when those offered have ended. Also ends an idle session.
  void quit();

  /// Octets from the peer, split anywhere. Runs the listener's callbacks.
  void receive(std::span<const char> octets);

  /// Writes what is to be sent now into `out`, at most out.size() octets, and returns their number; 0: nothing until more is received or offered. What was
  /// returned counts as sent: once the final dot was written, only a reply tells what became of the message. `out` holds at least 1024 octets... see
  /// the implementation for the longest command.
  size_t produce(std::span<char> out);

  /// The connection broke, timed out or is to be given up: `reason` in our words ("timed out after 300 s"). Transactions whose final dot was
  /// produced end as `unknown`, those begun before as `transient`, those not begun are returned; then session_failed().
  void fail(std::string_view reason);

  /// What the peer owes us now; the caller arms this stage's deadline whenever it changes or progress was made. `block` while content is being sent,
  /// `idle` when nothing is open.
  Stage stage() const;

  /// QUIT was answered, or session_failed() called: close.
  bool is_closed() const;

  /// Extensions as EHLO offered them.
  struct Extensions {
    bool esmtp = false, pipelining = false, size = false, eight_bit_mime = false, smtp_utf8 = false, starttls = false, enhanced = false;
    uint64_t size_max = 0;  // RFC 1870; 0: no limit told
  };
  const Extensions& extensions() const;

  // (private part is the implementer's)
};

}  // namespace sluice::engine::smtp
