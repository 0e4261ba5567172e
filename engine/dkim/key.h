#pragma once

#include <openssl/base.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::engine::dkim {

using Digest = std::array<uint8_t, 32>;  // SHA-256

/// RFC 6376 section 3.3.1, RFC 8463 section 3.
enum class Algorithm : uint8_t { rsa_sha256, ed25519_sha256 };
inline constexpr size_t algorithms = 2;
std::string_view name(Algorithm algorithm);  // as in the tag a=

class Key;
using KeyPtr = std::shared_ptr<const Key>;

/// A private key that signs. Immutable, for all threads. What it is made of leaves it as signatures
/// only; its memory, and that of what it was read from, is overwritten when it goes. A process that
/// has read or made one leaves no core dump from then on.
class Key {
 public:
  /// RFC 8301 section 3.2 has 1024 as the least and advises 2048. A signature of more takes longer
  /// than deadlines of a shard may wait (SigningDesk::turn_budget).
  static constexpr unsigned rsa_bits_min = 1024, rsa_bits_max = 2048;
  static constexpr size_t file_bytes_max = 16384;
  static constexpr size_t signature_bytes_max = rsa_bits_max / 8;

  /// From a PEM file, PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`), which only its owner
  /// may look into. The error is the end of a sentence that begins with the file. Blocking.
  static std::expected<KeyPtr, std::string> load(const std::string& path);
  static std::expected<KeyPtr, std::string> parse(std::string_view pem);
  /// `bits`: of an RSA key, within the limits above.
  static KeyPtr generate(Algorithm algorithm, unsigned bits);

  ~Key();
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  Algorithm algorithm() const { return algorithm_; }
  unsigned bits() const { return bits_; }
  /// What the tag p= of its DNS record holds in base64: for RSA a SubjectPublicKeyInfo, for Ed25519
  /// the 32 octets (RFC 8463 section 4.2).
  const std::string& public_octets() const { return public_octets_; }
  size_t signature_bytes() const;
  /// Signs a SHA-256 digest of what is signed; into `out`, of signature_bytes(). About 0.65 ms for
  /// RSA of 2048 bits, 0.03 ms for Ed25519.
  void sign(const Digest& digest, char* out) const;
  /// PKCS#8, PEM. For a file of mode 0600; to be overwritten afterwards (OPENSSL_cleanse).
  std::string pem() const;

 private:
  explicit Key(EVP_PKEY* key);
  bool is_consistent() const;

  EVP_PKEY* const key_;
  Algorithm algorithm_ = Algorithm::rsa_sha256;
  unsigned bits_ = 0;
  std::string public_octets_;
  std::array<uint8_t, 64> ed25519_{};  // private and public, as BoringSSL wants them
};

}  // namespace sluice::engine::dkim
