#include "engine/smtp/scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "engine/mail/base64.h"
#include "io/check.h"

namespace sluice::engine::smtp {
namespace {

using Digest = std::array<uint8_t, 32>;

Digest hmac(std::span<const uint8_t> key, std::string_view text) {
  Digest out;
  unsigned bytes = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), key.size(), reinterpret_cast<const uint8_t*>(text.data()),
             text.size(), out.data(), &bytes) != nullptr);
  return out;
}

std::string_view text_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// RFC 5802 section 5.1: a comma and an equals sign are escaped.
std::string saslname(std::string_view user) {
  std::string out;
  for (const char c : user) {
    if (c == ',')
      out += "=2C";
    else if (c == '=')
      out += "=3D";
    else
      out += c;
  }
  return out;
}

/// Takes `r=...` off the front of `message`, and the comma behind it.
std::optional<std::string_view> take_attribute(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const std::string_view value = message.substr(2, message.find(',') - 2);
  message.remove_prefix(std::min(message.size(), value.size() + 3));
  return value;
}

}  // namespace

Scram::Scram(std::string_view user, std::string_view nonce)
    : nonce_(nonce), first_bare_("n=" + saslname(user) + ",r=" + nonce_) {}

std::expected<std::string, std::string_view> Scram::client_final(std::string_view server_first,
                                                                 std::string_view password) {
  std::string_view rest = server_first;
  const auto nonce = take_attribute(rest, 'r');
  const auto salt_code = take_attribute(rest, 's');
  const auto count = take_attribute(rest, 'i');
  if (!nonce || !salt_code || !count) return std::unexpected("a SCRAM challenge that is none");
  if (!nonce->starts_with(nonce_) || nonce->size() <= nonce_.size() ||
      nonce->size() > nonce_bytes_max)
    return std::unexpected("a SCRAM challenge to somebody else");
  unsigned iterations = 0;
  const auto [end, error] =
      std::from_chars(count->data(), count->data() + count->size(), iterations);
  if (error != std::errc() || end != count->data() + count->size() || iterations < iterations_min ||
      iterations > iterations_max)
    return std::unexpected("a SCRAM challenge with too few or too many iterations");

  const std::string salt = mail::decode_base64(*salt_code);
  Digest salted;
  CHECK(PKCS5_PBKDF2_HMAC(password.data(), password.size(),
                          reinterpret_cast<const uint8_t*>(salt.data()), salt.size(), iterations,
                          EVP_sha256(), salted.size(), salted.data()));
  const Digest client_key = hmac(salted, "Client Key");
  Digest stored_key;
  SHA256(client_key.data(), client_key.size(), stored_key.data());
  std::string final_message = "c=biws,r=" + std::string(*nonce);  // biws: no channel binding
  const std::string all = first_bare_ + "," + std::string(server_first) + "," + final_message;
  Digest proof = hmac(stored_key, all);
  for (size_t i = 0; i < proof.size(); ++i) proof[i] ^= client_key[i];
  server_signature_ = hmac(hmac(salted, "Server Key"), all);
  OPENSSL_cleanse(salted.data(), salted.size());
  final_message += ",p=";
  mail::append_base64(final_message, text_of(proof));
  return final_message;
}

bool Scram::is_proved_by(std::string_view server_final) const {
  const auto code = take_attribute(server_final, 'v');
  const std::string signature = code ? mail::decode_base64(*code) : std::string();
  return signature.size() == server_signature_.size() &&
         CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) == 0;
}

}  // namespace sluice::engine::smtp
