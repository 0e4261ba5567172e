#pragma once

#include <openssl/base.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/tls/context.h"

namespace sluice::engine::tls {

/// One connection's TLS, as a pure machine of either role: ciphertext in, plaintext out, and the
/// reverse. No descriptor, no clock. At rest it holds the connection's keys (some 2 KiB) and no
/// buffer but a record that came in part (at most 16 KiB and some); a handshake takes some 30 KiB,
/// which it gives back.
class Channel {
 public:
  enum class State : uint8_t {
    handshake,
    open,
    ended,   // the peer said that nothing follows (close_notify), or we did
    failed,  // see failure(); what lies in `out` (an alert) may still be sent
  };

  /// `server_name`: of a client, whom it means to speak with (SNI, RFC 6066 section 3); "" for
  /// nobody. A name that is none is not sent.
  explicit Channel(ContextPtr context, const std::string& server_name = {});
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  /// Client only, once: appends the first flight to `out`.
  void start(std::string& out);
  /// Takes what the peer sent, all of it, cut anywhere. Appends what it says to `plain`, and to
  /// `out` what it is to be sent because of that (a handshake's flights, alerts). Once ended or
  /// failed what comes is passed over. `plain` grows by no more than came.
  void receive(std::span<const std::byte> octets, std::string& plain, std::string& out);
  /// Appends `plain` to `out` in records. open only.
  void send(std::string_view plain, std::string& out);
  /// Nothing follows: appends close_notify, where the handshake is over; ended.
  void close(std::string& out);

  State state() const { return state_; }
  bool is_open() const { return state_ == State::open; }
  /// In BoringSSL's words, printable: "TLSV1_ALERT_UNKNOWN_CA".
  const std::string& failure() const { return failure_; }
  /// "TLSv1.3 TLS_AES_128_GCM_SHA256"; after the handshake.
  std::string description() const;

 private:
  // The octets of a call, for BoringSSL's reads and writes.
  static const BIO_METHOD* method();
  static int take(BIO* bio, char* out, int bytes);
  static int give(BIO* bio, const char* octets, int bytes);
  static long control(BIO* bio, int command, long, void*);

  void shake_hands();
  void read(std::string& plain);
  void fail(int result);

  ContextPtr context_;
  bssl::UniquePtr<SSL> ssl_;
  State state_ = State::handshake;
  std::string failure_;
  std::span<const std::byte> input_;  // during a call
  std::string* output_ = nullptr;     // likewise
};

}  // namespace sluice::engine::tls
