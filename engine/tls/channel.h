#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/tls/context.h"
#include "engine/tls/dane.h"

namespace sluice::engine::tls {

/// Whom a client means to speak with.
struct Peer {
  std::string name;          // a host's name or an IP address; "": nobody. A name is sent (SNI, RFC
                             // 6066 section 3), and the certificate must be for it (RFC 6125
                             // section 6) to be good
  bool must_verify = false;  // also where the context's rules do not say so
  DanePolicyPtr dane;        // usable: it decides what is good, in place of names and authorities,
                             // and a certificate that is not good does not do; null: nobody
};

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

  /// `peer`: of a client.
  explicit Channel(ContextPtr context, Peer peer = {});
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  /// Client only, once: appends the first flight to `out`. `session`: to resume, of an earlier
  /// channel of this context with this peer; null: none.
  void start(std::string& out, SSL_SESSION* session = nullptr);
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
  /// The handshake went well, whatever came behind it: octets may have come in plain, and the end.
  bool is_established() const { return is_established_; }
  /// In BoringSSL's words, printable: "TLSV1_ALERT_UNKNOWN_CA", "CERTIFICATE_VERIFY_FAILED: self
  /// signed certificate".
  const std::string& failure() const { return failure_; }
  /// failed because we took the peer's certificate for no good: see verdict().
  bool was_refused() const { return was_refused_; }
  /// Client, after the handshake: somebody who is trusted says that the peer is who we mean.
  bool is_verified() const;
  /// Why not, an X509_V_ERR_; X509_V_OK.
  int verdict() const;
  /// Server: the client showed a certificate that is good and for this host's name, without
  /// wildcards; "*": for any.
  bool is_peer(const std::string& name) const;
  bool is_resumed() const;
  /// Client: the newest session that the peer gave, once; null: none since the last call.
  bssl::UniquePtr<SSL_SESSION> take_session() { return std::move(session_); }
  /// "TLSv1.3 TLS_AES_128_GCM_SHA256"; after the handshake.
  std::string description() const;

 private:
  friend class Context;
  static int keep_session(SSL* ssl, SSL_SESSION* session);
  static int verify(X509_STORE_CTX* path, void*);
  void expect_peer();
  // The octets of a call, for BoringSSL's reads and writes.
  static const BIO_METHOD* method();
  static int take(BIO* bio, char* out, int bytes);
  static int give(BIO* bio, const char* octets, int bytes);
  static long control(BIO* bio, int command, long, void*);

  void shake_hands();
  void read(std::string& plain);
  void fail(int result);

  ContextPtr context_;
  const Peer peer_;
  bssl::UniquePtr<SSL> ssl_;
  State state_ = State::handshake;
  bool is_established_ = false;
  std::string failure_;
  bool was_refused_ = false;
  bssl::UniquePtr<SSL_SESSION> session_;
  std::span<const std::byte> input_;  // during a call
  std::string* output_ = nullptr;     // likewise
};

}  // namespace sluice::engine::tls
