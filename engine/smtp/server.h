#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/smtp/auth_exchange.h"
#include "engine/smtp/command.h"
#include "engine/smtp/content_reader.h"
#include "engine/smtp/incoming.h"

namespace sluice::engine::smtp {

/// What a listener offers; shared by its sessions.
struct ServerOptions {
  std::string hostname;
  uint64_t message_bytes_max = 52428800;  // told in SIZE (RFC 1870): octets before dot-stuffing
  uint32_t recipients_max = 1000;         // a transaction; told in LIMITS (RFC 9422)
  uint32_t transactions_max = 10000;      // a session; told in LIMITS as MAILMAX
  bool offers_starttls = false;
  bool offers_auth = false;  // under TLS only (RFC 4954 section 4)
  bool offers_etrn = false;
};

/// The receiving side of SMTP (RFC 5321), as a pure machine: no descriptor, no clock, and in steady
/// state no allocation.
///
///     server.greet(out);
///     for (;;) switch (server.next(input, out)) { ... }      // then send `out`
///
/// next() takes octets off the front of `input` until there is something for the caller to do, and
/// appends to `out` whatever it can answer itself. What needs the caller's word is *owed* until
/// answer() gives it, at once or much later: when the message is durable, when another thread has
/// checked a password. Meanwhile next() is not called, and the caller keeps the rest of the input
/// (and stops reading when that is much). So replies are in the order of commands by construction.
///
/// Content comes in wire form, CRLF lines and dot-stuffed, without the final dot, in pieces that
/// are views into `input` (or, for single octets, into the machine): storing it and sending it on
/// transform nothing. Chunks of BDAT (RFC 3030) are dot-stuffed on their way, and get the last
/// line's CRLF where it is missing. Only CRLF ends a line and only <CRLF>.<CRLF> ends a message:
/// content with a bare CR or LF, a NUL (it is binary: RFC 2045 section 2.9) or a line of more than
/// ContentReader::line_bytes_max octets is swallowed up to its true end and refused as a whole.
class Server {
 public:
  enum class Event : uint8_t {
    needs_input,  // all input was taken, nothing is owed
    replied,      // a command was answered; go on, or first send when `out` is large
    // Owed: call answer().
    auth,      // credentials() are to be checked
    starttls,  // answered: send `out`, shake hands, tls_started(); no plain octet comes after it
    mail,      // envelope() has a sender
    rcpt,      // envelope() has one recipient more, the last
    content,   // DATA or the first BDAT: may content come?
    message,   // the content is whole; content_bytes(), is_8bit()
    etrn,      // etrn_target() asks for its mail (RFC 1985)
    // Nothing is owed.
    piece,    // piece() is the next part of the content, until the next call
    dropped,  // the message whose content was granted will not come: forget it; see refusal()
    closed,   // send `out`, then close; a message that was granted and not whole will not come
  };

  // Numbers of limits that no operator has asked to set.
  static constexpr size_t command_bytes_max = 2048;   // RFC 5321 section 4.5.3.1.4: 512 with CRLF,
                                                      // and 1,170 for the extensions offered here
  static constexpr unsigned errors_max = 20;          // bad commands, since the last message
  static constexpr unsigned idle_commands_max = 100;  // NOOP, RSET...: each one more is an error

  /// `options` outlives the machine.
  explicit Server(const ServerOptions& options) : options_(&options) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// The first thing said, once. `instead`, "421 4.7.0 Too many sessions", turns the client away:
  /// with 421 next() says `closed`, with 554 every command but QUIT is refused (RFC 5321 section
  /// 3.1). A client that spoke before was impolite: the caller has octets of it before it greets.
  void greet(std::string& out, std::string_view instead = {});

  /// See the class. Not while is_owed(). `closed` is repeated for ever and takes nothing.
  Event next(std::span<const std::byte>& input, std::string& out);
  bool is_owed() const { return owed_ != Event::needs_input; }
  /// What is; needs_input: nothing.
  Event owed() const { return owed_; }

  /// Answers what is owed. `reply`, "CODE X.Y.Z text" without CRLF, or "" for yes in the machine's
  /// own words; etrn has none and needs one (RFC 1985 section 5.3). 2yz is yes, anything else no;
  /// 421 closes. Octets that could not stand in a reply line are replaced, so that text may quote
  /// the client. After yes to `message` the responsibility is ours: it must be durable.
  void answer(std::string& out, std::string_view reply = {});

  /// Between yes to `content` and `message`: the rest of the content is swallowed, and `reply`
  /// (4yz or 5yz) is said at its end. No `dropped` follows.
  void refuse_message(std::string_view reply);

  /// Says `reply` ("421 4.4.2 Timed out") now, whatever is owed, and closes.
  void close(std::string& out, std::string_view reply);

  /// From here on input comes out of TLS and output goes into it: after `starttls`, or before
  /// greet() with implicit TLS. The session begins anew (RFC 3207 section 4.2).
  void tls_started();

  bool is_tls() const { return is_tls_; }
  bool is_closed() const { return phase_ == Phase::closed; }
  /// Content is on its way: its deadline runs, not that of a command.
  bool is_in_content() const { return phase_ == Phase::content; }
  /// Bad commands and refused credentials since the last message: what a caller slows down by.
  unsigned errors() const { return errors_; }

  /// As EHLO or HELO gave it, one word of printable ASCII; "" before.
  const std::string& client_name() const { return client_name_; }
  /// Who authenticated (UTF-8 without controls); "" for nobody.
  const std::string& user() const { return user_; }
  /// For the Received field's `with` (RFC 3848, RFC 6531 section 4.3): "ESMTPSA".
  std::string_view protocol() const;

  const Credentials& credentials() const { return auth_.credentials(); }  // at `auth`
  const Incoming& envelope() const { return envelope_; }  // from `mail` to the answer to `message`
  std::string_view piece() const { return content_.piece(); }
  uint64_t content_bytes() const { return content_.wire_bytes(); }  // of all pieces
  bool is_8bit() const { return content_.is_8bit(); }               // some octet is over 127
  /// `relay.example`, `@example` (and all below it) or `#queue`, lower case: letters, digits and
  /// `.-_[]:` only.
  const std::string& etrn_target() const { return argument_; }
  /// What is wrong with a message that was `dropped`: the reply it will get, or "" when the client
  /// gave it up itself (RSET, EHLO).
  std::string_view refusal() const { return refusal_; }

 private:
  /// `handshake`: from yes to STARTTLS to tls_started(). `content`: of DATA or of one chunk is on
  /// its way. `chunks`: between two chunks of a message. `refused`: a 554 greeting.
  enum class Phase : uint8_t {
    connected,
    greeted,
    handshake,
    ready,
    mail,
    rcpt,
    auth,
    content,
    chunks,
    refused,
    closed
  };

  // Each step of next(): nothing when there is no reason yet to return.
  using Step = std::optional<Event>;
  Step take_line(std::span<const std::byte>& input, std::string& out);
  Step take_content(std::span<const std::byte>& input, std::string& out);
  Step take_command(std::string_view line, std::string& out);
  Step take_verb(const Command& command, std::string& out);
  Step end_content(std::string& out);

  Event hello(const Command& command, std::string& out);
  void say_extensions(std::string& out) const;
  Event mail(std::string_view argument, std::string& out);
  Event rcpt(std::string_view argument, std::string& out);
  Event data(std::string_view argument, std::string& out);
  Step bdat(std::string_view argument, std::string& out);
  Event starttls(std::string_view argument, std::string& out);
  Event begin_auth(std::string_view argument, std::string& out);
  Event go_on_auth(AuthExchange::Step step, std::string& out);
  Event etrn(std::string_view argument, std::string& out);
  Event refuse_line(std::string& out, std::string_view reply);
  Event abandon();

  Event say(std::string& out, std::string_view reply);
  Event object(std::string& out, std::string_view reply);
  Event owe(Event event) { return owed_ = event; }
  void grant(Event owed, std::string& out, std::string_view reply);
  void deny(Event owed, std::string& out, std::string_view reply);
  bool is_in_transaction() const;
  void forget_transaction();

  const ServerOptions* options_;
  Phase phase_ = Phase::connected;
  Phase after_content_ = Phase::ready;  // of `content`: when it was taken and not granted
  Event owed_ = Event::needs_input;
  bool is_tls_ = false, is_esmtp_ = false, line_is_long_ = false, has_more_input_ = false;
  bool is_chunked_ = false, is_last_chunk_ = false;
  bool is_granted_ = false;  // the caller has content, and has not heard of its end
  uint8_t errors_ = 0, idle_commands_ = 0;
  uint32_t transactions_ = 0;
  ContentReader content_;
  AuthExchange auth_;
  Incoming envelope_;
  std::string line_;  // a line that came in parts
  std::string client_name_, user_, argument_, refusal_;
};

static_assert(sizeof(Server) <= 512);

}  // namespace sluice::engine::smtp
