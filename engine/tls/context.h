#pragma once

#include <openssl/base.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>

namespace sluice::engine::tls {

class Context;
using ContextPtr = std::shared_ptr<const Context>;

/// Why a file cannot be used: the end of a sentence that begins with it.
struct ContextError {
  enum class File : uint8_t { certificate, key, authorities };
  File file = File::certificate;
  std::string message;
};

/// PEM files of a server.
struct ServerFiles {
  std::string certificate, key;    // with its chain behind it; not encrypted
  std::string client_authorities;  // who sign clients' certificates, which then are asked for; "":
                                   // none is

  const std::string& of(ContextError::File which) const;
};

/// How a client goes about it.
struct ClientRules {
  bool must_verify = false;  // else any certificate does: encryption where the alternative is none
                             // (RFC 7435); whether it is good is told nevertheless
  bool needs_tls_1_3 = false;
  std::string authorities;       // PEM file of those who are trusted; "": nobody
  std::string certificate, key;  // shown to servers that ask; "": none

  friend bool operator==(const ClientRules&, const ClientRules&) = default;
};

/// What all channels of one side have in common: certificate and key, versions, ciphers, the keys
/// of session tickets. Immutable, for any number of threads; its channels keep it alive.
class Context {
 public:
  /// A server's. A client without a certificate, or with one that nobody vouches for, is served
  /// too: Channel::is_peer() tells. Blocking.
  static std::expected<ContextPtr, ContextError> server(const ServerFiles& files);
  /// A client's. Blocking.
  static std::expected<ContextPtr, ContextError> client(const ClientRules& rules = {});

  /// BoringSSL counts references in it, and takes it as not const.
  SSL_CTX* get() const { return context_.get(); }
  bool is_server() const { return is_server_; }

 private:
  explicit Context(bool is_server);
  std::expected<void, ContextError> use(const std::string& certificate, const std::string& key);
  std::expected<void, ContextError> trust(const std::string& authorities);

  bssl::UniquePtr<SSL_CTX> context_;
  const bool is_server_;
};

}  // namespace sluice::engine::tls
