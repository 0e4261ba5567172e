#include "engine/tls/channel.h"

#include <fmt/format.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <utility>

#include "io/check.h"

namespace sluice::engine::tls {

const BIO_METHOD* Channel::method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* const fresh = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "channel");
    CHECK(fresh != nullptr);
    CHECK(BIO_meth_set_read(fresh, take) && BIO_meth_set_write(fresh, give) &&
          BIO_meth_set_ctrl(fresh, control));
    return fresh;
  }();
  return made;
}

int Channel::take(BIO* bio, char* out, int bytes) {
  auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const size_t taken = std::min(channel.input_.size(), static_cast<size_t>(bytes));
  if (taken == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  memcpy(out, channel.input_.data(), taken);
  channel.input_ = channel.input_.subspan(taken);
  return static_cast<int>(taken);
}

int Channel::give(BIO* bio, const char* octets, int bytes) {
  const auto& channel = *static_cast<Channel*>(BIO_get_data(bio));
  CHECK(channel.output_ != nullptr);
  channel.output_->append(octets, static_cast<size_t>(bytes));
  return bytes;
}

long Channel::control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

Channel::Channel(ContextPtr context, Peer peer)
    : context_(std::move(context)), peer_(std::move(peer)), ssl_(SSL_new(context_->get())) {
  CHECK(ssl_ != nullptr);
  bssl::UniquePtr<BIO> bio(BIO_new(method()));
  CHECK(bio != nullptr);
  BIO_set_data(bio.get(), this);
  BIO_set_init(bio.get(), 1);
  BIO* const both = bio.release();  // one reference does for reading and writing
  SSL_set_bio(ssl_.get(), both, both);
  SSL_set_shed_handshake_config(ssl_.get(), 1);
  if (context_->is_server())
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
  CHECK(SSL_set_app_data(ssl_.get(), this));
  expect_peer();
}

void Channel::expect_peer() {
  CHECK(!peer_.dane || peer_.dane->is_usable());
  if (peer_.must_verify || peer_.dane) SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, nullptr);
  const std::string& name = peer_.name;
  if (name.empty()) return;
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl_.get());
  // What names a host is the subjectAltName (RFC 6125 section 6.4.4).
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) == 1) return;
  ERR_clear_error();
  CHECK(X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()));
  if (SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) != 1) ERR_clear_error();
}

int Channel::verify(X509_STORE_CTX* path, void*) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(path, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto& channel = *static_cast<const Channel*>(SSL_get_app_data(ssl));
  if (!channel.peer_.dane) return X509_verify_cert(path);
  const int verdict = judge(*channel.peer_.dane, X509_STORE_CTX_get0_untrusted(path));
  X509_STORE_CTX_set_error(path, verdict);
  return verdict == X509_V_OK;
}

int Channel::keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<Channel*>(SSL_get_app_data(ssl))->session_.reset(session);
  return 1;
}

Channel::~Channel() = default;

void Channel::start(std::string& out, SSL_SESSION* session) {
  CHECK(!context_->is_server() && state_ == State::handshake);
  if (session != nullptr) CHECK(SSL_set_session(ssl_.get(), session));
  output_ = &out;
  shake_hands();
  output_ = nullptr;
}

void Channel::receive(std::span<const std::byte> octets, std::string& plain, std::string& out) {
  input_ = octets;
  output_ = &out;
  if (state_ == State::handshake) shake_hands();
  if (state_ == State::open) read(plain);
  CHECK(input_.empty() || state_ == State::ended || state_ == State::failed);
  input_ = {};
  output_ = nullptr;
}

void Channel::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return fail(result);
  state_ = State::open;
  is_established_ = true;
}

void Channel::read(std::string& plain) {
  std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> record;  // as large as one can be
  for (;;) {
    ERR_clear_error();
    const int result = SSL_read(ssl_.get(), record.data(), static_cast<int>(record.size()));
    if (result <= 0) return fail(result);
    plain.append(record.data(), static_cast<size_t>(result));
  }
}

/// What kept it from going on: mostly that there is no more input.
void Channel::fail(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:   return;
    case SSL_ERROR_ZERO_RETURN: state_ = State::ended; return;
    default:                    break;
  }
  state_ = State::failed;
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  failure_ = reason != nullptr ? reason : "unknown";
  was_refused_ = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (was_refused_)
    failure_ += fmt::format(": {}", peer_.dane && verdict() == X509_V_ERR_CERT_UNTRUSTED
                                        ? "no TLSA record matches"
                                        : X509_verify_cert_error_string(verdict()));
  ERR_clear_error();
}

void Channel::send(std::string_view plain, std::string& out) {
  CHECK(state_ == State::open && plain.size() <= INT_MAX);
  if (plain.empty()) return;
  output_ = &out;
  // A record's head, and its tag.
  constexpr size_t overhead = 64;
  out.reserve(out.size() + plain.size() + overhead * (1 + plain.size() / SSL3_RT_MAX_PLAIN_LENGTH));
  ERR_clear_error();
  const int result = SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
  if (result <= 0) fail(result);
  output_ = nullptr;
}

void Channel::close(std::string& out) {
  const bool may_speak = state_ != State::failed && !SSL_in_init(ssl_.get());
  if (may_speak && (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) == 0) {
    output_ = &out;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    output_ = nullptr;
  }
  if (state_ != State::failed) state_ = State::ended;
}

int Channel::verdict() const { return static_cast<int>(SSL_get_verify_result(ssl_.get())); }
bool Channel::is_verified() const { return verdict() == X509_V_OK; }
bool Channel::is_peer(const std::string& name) const {
  const bssl::UniquePtr<X509> shown(SSL_get_peer_certificate(ssl_.get()));
  if (!shown || !is_verified()) return false;
  constexpr unsigned exactly = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
  return name == "*" ||
         X509_check_host(shown.get(), name.data(), name.size(), exactly, nullptr) == 1;
}

bool Channel::is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

std::string Channel::description() const {
  const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl_.get());
  CHECK(cipher != nullptr);
  return fmt::format("{} {}", SSL_get_version(ssl_.get()), SSL_CIPHER_standard_name(cipher));
}

}  // namespace sluice::engine::tls
