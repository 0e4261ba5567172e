#pragma once

#include <openssl/ssl.h>

#include <compare>
#include <cstddef>
#include <deque>
#include <map>
#include <string>

#include "engine/tls/context.h"
#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine::tls {

/// What a shard remembers of the hosts with which it spoke TLS: a session of each to resume, and
/// those with which no handshake came about. Both are bounded: what was put in first goes first.
class HostMemory {
 public:
  static constexpr size_t sessions_max = 1024;  // some 5 KiB each, with the peer's certificates
  static constexpr size_t failures_max = 4096;
  static constexpr io::Duration failure_kept = std::chrono::minutes(30);

  /// Sessions are of a context, a name and an address, and of what was demanded of the peer: a
  /// certificate is not looked at again when its session is resumed.
  struct Host {
    ContextPtr context;
    std::string name;
    std::string address;
    std::string demand;
    friend auto operator<=>(const Host&, const Host&) = default;
  };

  /// Null: none. Tickets of TLS 1.3 are used once (RFC 8446 appendix C.4).
  bssl::UniquePtr<SSL_SESSION> take_session(const Host& host);
  void keep_session(const Host& host, bssl::UniquePtr<SSL_SESSION> session);

  void note_failure(const std::string& address, io::Instant now);
  /// Lately: another handshake is not worth its time.
  bool has_failed(const std::string& address, io::Instant now) const;

 private:
  std::map<Host, bssl::UniquePtr<SSL_SESSION>> sessions_;
  std::deque<Host> order_;                                    // of sessions_, as they came
  std::map<std::string, io::Instant, std::less<>> failures_;  // when
  std::deque<std::string> failure_order_;
};

}  // namespace sluice::engine::tls
