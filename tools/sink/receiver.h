#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/stage.h"
#include "tools/sink/content_scanner.h"

namespace sluice::tools::sink {

struct ReceiverOptions {
  std::string hostname = "sink.example";
  std::vector<std::string> extensions = {"PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8",
                                         "ENHANCEDSTATUSCODES"};
  bool keep_content = false;
  bool has_tls = false;  // for who says STARTTLS, which is offered where it is an extension
};

/// The receiving side of SMTP (RFC 5321), as a pure machine: octets in, replies out. It takes one
/// command at a time, so that whoever drives it can delay, replace or withhold the answer to each.
class Receiver {
 public:
  using Stage = engine::smtp::Stage;
  enum class Event : uint8_t {
    needs_input,    // all input was taken
    command,        // a command line is complete: answer() it
    content_began,  // the first octets of a message's content are there; goes on with next()
    content_ended,  // the final dot came: answer() it
  };
  struct Outcome {
    bool taken = false;       // this answer took responsibility for a message
    bool close = false;       // the connection ends after this answer (QUIT, 421)
    bool starts_tls = false;  // what comes next is a handshake; then tls_started()
  };
  static constexpr size_t line_bytes_max = 4096;
  static constexpr size_t head_bytes_max = 64 * 1024;
  static constexpr size_t recipients_max = 10'000;

  /// `options` must outlive the machine.
  explicit Receiver(const ReceiverOptions& options) : options_(options) {}

  /// Takes octets off the front of `input` until there is something to answer or nothing left.
  Event next(std::span<const std::byte>& input);

  /// The stage that the last event belongs to; none for commands that have none (NOOP, what we do
  /// not know, what comes out of order). Stage::greeting before the first call of next().
  std::optional<Stage> stage() const { return stage_; }

  /// Appends the answer to the last event (at first: the greeting) to `out` and acts on it.
  /// `instead`, "CODE text", replaces an answer that would have been positive; its code then
  /// decides what it means.
  Outcome answer(std::string& out, std::optional<std::string_view> instead = {});

  /// From here on input comes out of TLS, and the session begins anew (RFC 3207 section 4.2).
  void tls_started();
  bool is_tls() const { return is_tls_; }

  // The message of the last content_ended, until the next call of next().
  const std::string& sender() const { return sender_; }
  std::span<const std::string> recipients() const { return {recipients_.data(), recipient_count_}; }
  /// With its angle brackets; "" without one.
  std::string_view message_id() const { return field("message-id:"); }
  /// Has it a DKIM-Signature? (RFC 6376; nobody verifies it here)
  bool is_signed() const { return !field("dkim-signature:").empty(); }
  /// In wire form, without the final dot.
  uint64_t content_bytes() const { return content_bytes_; }
  /// Dot-unstuffed; only with keep_content.
  std::string content() const;

 private:
  enum class Verb : uint8_t {
    none,
    ehlo,
    helo,
    starttls,
    mail,
    rcpt,
    data,
    rset,
    noop,
    vrfy,
    quit,
    unknown
  };
  enum class State : uint8_t { greeting, greeted, ready, mail, rcpt, content, refused };

  Event take_line(std::span<const std::byte>& input);
  Event take_content(std::span<const std::byte>& input);
  void keep_head(std::string_view piece);
  void recognise(std::string_view line);
  std::string_view objection();
  std::string_view mail_or_rcpt_objection();
  std::string_view starttls_objection() const;
  bool offers(std::string_view keyword) const;
  bool parameters_known(std::string_view parameters) const;
  void accept();
  void append_normal_answer(std::string& out) const;
  void append_extensions(std::string& out) const;
  void forget_transaction();
  /// What the first field of that name says, `name` in lower case with its colon; "" without one.
  std::string_view field(std::string_view name) const;

  const ReceiverOptions& options_;
  ContentScanner scanner_;
  State state_ = State::greeting;
  Verb verb_ = Verb::none;
  std::optional<Stage> stage_ = Stage::greeting;
  std::string_view objection_;  // the answer to what is wrong in itself; "" when nothing is
  bool is_tls_ = false;
  bool content_begun_ = false, content_ended_ = false, head_is_whole_ = false,
       line_is_long_ = false;
  uint64_t content_bytes_ = 0;
  size_t recipient_count_ = 0;
  std::string line_, argument_;  // line_: a line that came in parts
  std::string sender_, path_, head_, content_;
  std::vector<std::string>
      recipients_;  // kept for their memory: recipient_count_ of them are meant
};

}  // namespace sluice::tools::sink
