#pragma once

#include <array>
#include <climits>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/content.h"
#include "engine/envelope.h"
#include "engine/fates.h"
#include "engine/outlet.h"
#include "engine/session_tls.h"
#include "engine/smtp/client.h"
#include "io/op.h"
#include "io/timer_wheel.h"

namespace sluice::engine {

class Shard;

/// The I/O of one SMTP session: a connection to one of the route's hosts, the pure machines that
/// speak on it (SMTP, and TLS around it), one receive, at most one send, one timer.
///
/// A connection that fails before it took mail moves on to the route's next host, with the
/// recipients it holds; to the same host again, in the clear, when only TLS failed and policy
/// allows that. It ends when the machine says so, the connection breaks, or a deadline passes;
/// expiry closes nothing by itself: it records the reason (the first one wins), cancels what is in
/// flight, and the session is destroyed when nothing is.
class Session final : smtp::Client::Listener, Fates::Intender, Content::Owner {
 public:
  explicit Session(Outlet& outlet);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// Takes what a first transaction is for and connects.
  void start();
  /// There are recipients, or a send buffer, again.
  void resume();
  /// QUIT after what is under way.
  void finish();
  /// Ends now; what is under way ends as its stage demands.
  void abort(std::string_view reason);

  smtp::Stage stage() const;

  std::list<Session*>::iterator idle_place;  // the shard's, while the session idles

 private:
  enum class State : uint8_t { connecting, open, closing };

  void connect();
  void submit_connect();
  void take(std::span<const std::byte> octets);
  void connected(io::Connect& op, const io::Completion& completion);
  void received(io::Receive& op, const io::Completion& completion);
  void sent(io::Send& op, const io::Completion& completion);
  void closed(io::CloseSocket& op, const io::Completion& completion);
  void expired();

  bool fill();
  void pump();
  void send_outgoing();
  void say_goodbye();
  void after_event();
  void idle_no_more();
  Content* awaited_content();
  Content& content(const Envelope& envelope) {
    return contents_[static_cast<size_t>(&envelope - envelopes_.data())];
  }
  void arm_deadline();
  void charge_phase();
  void count_phases();
  void lost(std::string_view reason);
  void not_now();
  void bind_elsewhere();
  std::string_view hostname() const;
  void close();
  void close_when_idle();
  void ended();
  bool has_next_host() const;
  const dns::Host& host() const { return attempt_.list->hosts[attempt_.order[host_]]; }
  void host_refused(const smtp::Verdict& verdict);
  void note_tls(std::string_view reason);
  std::string reason_of(const smtp::Verdict& verdict);
  SetbackPtr setback_of(const smtp::Verdict& verdict);
  void session_fruitless(const smtp::Verdict& verdict);
  void record(Envelope& envelope, unsigned recipient, const smtp::Verdict& verdict);
  Envelope& of(smtp::TransactionNumber transaction);
  unsigned recipients_max() const;
  uint32_t transactions_max() const;

  void recipient_ended(smtp::TransactionNumber transaction, unsigned recipient,
                       const smtp::Verdict& verdict) override;
  void recipient_returned(smtp::TransactionNumber transaction, unsigned recipient) override;
  void transaction_ended(smtp::TransactionNumber transaction) override;
  void transaction_returned(smtp::TransactionNumber transaction) override;
  void dot_withheld(smtp::TransactionNumber transaction) override;
  void intent_durable(smtp::TransactionNumber transaction) override;
  void content_loaded() override;
  void content_signed() override { resume(); }
  void session_opened() override;
  void session_failed(const smtp::Verdict& verdict) override;

  Outlet& outlet_;
  Shard& shard_;
  std::optional<smtp::Client> client_;
  SessionTls tls_;
  std::string sending_;  // of a handshake, or an alert: in place of block_
  std::array<Envelope, smtp::Client::transactions_open_max> envelopes_;
  std::array<Content, smtp::Client::transactions_open_max> contents_;  // of the envelopes
  std::array<uint32_t, smtp::stage_count> phases_us_{};                // since a transaction ended
  io::Instant phase_began_{};
  smtp::Stage phase_ = smtp::Stage::connect;
  State state_ = State::connecting;
  uint16_t host_ = 0;     // in the attempt's order
  bool opened_ = false;   // the peer takes mail
  bool charged_ = false;  // an attempt was counted for somebody
  bool proven_ = false;   // the peer spoke its verdict on a recipient
  bool settled_ = false;  // session_failed() was dealt with
  bool finishing_ = false;
  bool idles_ = false, waits_for_buffer_ = false, broken_ = false, looked_again_ = false,
       next_host_ = false, same_host_ = false;
  bool intends_ = false;    // a dot waits for its intent to be durable
  bool sent_some_ = false;  // a send completed since the deadline was armed
  uint32_t transactions_ = 0;
  unsigned recipients_taken_ = UINT_MAX;  // of a transaction, by this peer, as it showed
  uint64_t replies_ = 0;                  // when the deadline was armed
  char* block_ = nullptr;
  Outlet::Attempt attempt_;
  io::Socket socket_;
  const SourceAddress* source_ = nullptr;        // what it is bound to; null: the system's choice
  const SourceAddress* source_tried_ = nullptr;  // the first of those for this host
  io::SocketAddress local_;
  io::Connect connect_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  io::Timer timer_;
};

}  // namespace sluice::engine
