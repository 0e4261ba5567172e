#include "engine/tls/context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/tls/channel.h"
#include "io/check.h"

namespace sluice::engine::tls {
namespace {

// With forward secrecy, and authenticated: what RFC 9325 section 4.2 recommends of TLS 1.2. Those
// of TLS 1.3 all are.
constexpr const char* server_ciphers =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305|ECDHE-RSA-AES128-GCM-SHA256|"
    "ECDHE-RSA-CHACHA20-POLY1305]:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
// The old ones last: the alternative to a weak cipher is none.
constexpr const char* client_ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:AESGCM:AES";

constexpr uint32_t session_seconds_max = 2 * 60 * 60;

/// The key cannot be asked for at a terminal.
int no_password(char*, int, int, void*) { return 0; }

std::string unreadable(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return fmt::format("cannot be read: {}", std::strerror(errno));
  std::fclose(file);
  return {};
}

using File = ContextError::File;

std::unexpected<ContextError> failure(File file, std::string message) {
  ERR_clear_error();
  return std::unexpected(ContextError{file, std::move(message)});
}

}  // namespace

const std::string& ServerFiles::of(File which) const {
  switch (which) {
    case File::certificate: return certificate;
    case File::key:         return key;
    case File::authorities: return client_authorities;
  }
  std::unreachable();
}

Context::Context(bool is_server) : context_(SSL_CTX_new(TLS_method())), is_server_(is_server) {
  SSL_CTX* const context = context_.get();
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION));
  CHECK(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION));
  CHECK(SSL_CTX_set_strict_cipher_list(context, is_server ? server_ciphers : client_ciphers));
  SSL_CTX_set_default_passwd_cb(context, no_password);
  constexpr std::array<uint8_t, 6> session_context = {'s', 'l', 'u', 'i', 'c', 'e'};
  CHECK(SSL_CTX_set_session_id_context(context, session_context.data(), session_context.size()));
}

std::expected<void, ContextError> Context::use(const std::string& certificate,
                                               const std::string& key) {
  if (std::string why = unreadable(certificate); !why.empty())
    return failure(File::certificate, std::move(why));
  if (std::string why = unreadable(key); !why.empty()) return failure(File::key, std::move(why));
  SSL_CTX* const context = context_.get();
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return failure(File::certificate, "holds no certificate in PEM");
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    const bool is_other = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                          ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;
    return failure(File::key, is_other ? "is not the certificate's key"
                                       : "holds no key in PEM, or one that is encrypted");
  }
  if (SSL_CTX_check_private_key(context) != 1)
    return failure(File::key, "is not the certificate's key");
  return {};
}

std::expected<void, ContextError> Context::trust(const std::string& authorities) {
  if (std::string why = unreadable(authorities); !why.empty())
    return failure(File::authorities, std::move(why));
  if (SSL_CTX_load_verify_locations(context_.get(), authorities.c_str(), nullptr) != 1)
    return failure(File::authorities, "holds no certificate in PEM");
  return {};
}

std::expected<ContextPtr, ContextError> Context::server(const ServerFiles& files) {
  const std::shared_ptr<Context> made(new Context(true));
  // Tickets hold all there is to know of a session: nothing is kept for those that never return.
  SSL_CTX_set_session_cache_mode(made->get(), SSL_SESS_CACHE_OFF);
  if (auto used = made->use(files.certificate, files.key); !used)
    return std::unexpected(used.error());
  if (files.client_authorities.empty()) return made;
  if (auto trusted = made->trust(files.client_authorities); !trusted)
    return std::unexpected(trusted.error());
  SSL_CTX_set_client_CA_list(made->get(),
                             SSL_load_client_CA_file(files.client_authorities.c_str()));
  constexpr auto go_on = [](int, X509_STORE_CTX*) { return 1; };  // the verdict is kept
  SSL_CTX_set_verify(made->get(), SSL_VERIFY_PEER, go_on);
  return made;
}

std::expected<ContextPtr, ContextError> Context::client(const ClientRules& rules) {
  const std::shared_ptr<Context> made(new Context(false));
  SSL_CTX* const context = made->get();
  if (rules.needs_tls_1_3) CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION));
  SSL_CTX_set_verify(context, rules.must_verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(context, Channel::verify, nullptr);
  // Channels hand the sessions out, to whoever has many.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, Channel::keep_session);
  // What was found of a certificate is taken for true as long.
  SSL_CTX_set_timeout(context, session_seconds_max);
  SSL_CTX_set_session_psk_dhe_timeout(context, session_seconds_max);
  if (!rules.certificate.empty())
    if (auto used = made->use(rules.certificate, rules.key); !used)
      return std::unexpected(used.error());
  if (rules.authorities.empty()) return made;
  if (auto trusted = made->trust(rules.authorities); !trusted)
    return std::unexpected(trusted.error());
  return made;
}

}  // namespace sluice::engine::tls
