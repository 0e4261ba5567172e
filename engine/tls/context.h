#pragma once

#include <openssl/base.h>

#include <expected>
#include <memory>
#include <string>

namespace sluice::engine::tls {

class Context;
using ContextPtr = std::shared_ptr<const Context>;

/// Why a certificate or its key cannot be used: the end of a sentence that begins with the file.
struct ContextError {
  bool is_of_key = false;
  std::string message;
};

/// What all channels of one side have in common: certificate and key, versions, ciphers, the keys
/// of session tickets. Immutable, for any number of threads; its channels keep it alive.
class Context {
 public:
  /// A server's, from PEM files: the certificate with its chain behind it, and the key, which is
  /// not encrypted. Blocking.
  static std::expected<ContextPtr, ContextError> server(const std::string& certificate,
                                                        const std::string& key);
  /// A client's that takes any certificate: encryption where the alternative is none (RFC 7435).
  static ContextPtr client();

  /// BoringSSL counts references in it, and takes it as not const.
  SSL_CTX* get() const { return context_.get(); }
  bool is_server() const { return is_server_; }

 private:
  explicit Context(bool is_server);

  bssl::UniquePtr<SSL_CTX> context_;
  const bool is_server_;
};

}  // namespace sluice::engine::tls
