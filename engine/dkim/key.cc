#include "engine/dkim/key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/curve25519.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/check.h"
#include "io/core_dump.h"

namespace sluice::engine::dkim {
namespace {

/// Octets that are overwritten when they go.
struct Secret {
  std::string octets;
  ~Secret() { OPENSSL_cleanse(octets.data(), octets.size()); }
};

/// Instead of BoringSSL's own, which asks whoever sits at the terminal.
int no_password(char*, int, int, void*) { return -1; }

std::unexpected<std::string> system_error() {
  return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
}

std::expected<void, std::string> read_private(const std::string& path, Secret& out) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_error();
  struct stat status{};
  out.octets.resize(Key::file_bytes_max + 1);
  const bool is_known = fstat(descriptor, &status) == 0;
  const ssize_t size = read(descriptor, out.octets.data(), out.octets.size());
  const int error = errno;
  close(descriptor);
  errno = error;
  if (!is_known || size < 0) return system_error();
  if (!S_ISREG(status.st_mode)) return std::unexpected("is not a file");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return std::unexpected(fmt::format("is open to others (mode {:o}); chmod go= makes it private",
                                       status.st_mode & 07777));
  if (static_cast<size_t>(size) > Key::file_bytes_max)
    return std::unexpected("is too large for a private key");
  out.octets.resize(static_cast<size_t>(size));
  return {};
}

std::string spki_of(const EVP_PKEY* key) {
  bssl::ScopedCBB cbb;
  CHECK(CBB_init(cbb.get(), 512) && EVP_marshal_public_key(cbb.get(), key));
  return {reinterpret_cast<const char*>(CBB_data(cbb.get())), CBB_len(cbb.get())};
}

}  // namespace

std::string_view name(Algorithm algorithm) {
  return algorithm == Algorithm::rsa_sha256 ? "rsa-sha256" : "ed25519-sha256";
}

Key::Key(EVP_PKEY* key) : key_(key) {
  if (EVP_PKEY_id(key_) == EVP_PKEY_RSA) {
    bits_ = static_cast<unsigned>(EVP_PKEY_bits(key_));
    public_octets_ = spki_of(key_);
    return;
  }
  algorithm_ = Algorithm::ed25519_sha256;
  bits_ = 256;
  std::array<uint8_t, 32> seed, open;
  size_t size = seed.size();
  CHECK(EVP_PKEY_get_raw_private_key(key_, seed.data(), &size) == 1);
  ED25519_keypair_from_seed(open.data(), ed25519_.data(), seed.data());
  OPENSSL_cleanse(seed.data(), seed.size());
  public_octets_.assign(reinterpret_cast<const char*>(open.data()), open.size());
}

Key::~Key() {
  EVP_PKEY_free(key_);  // overwrites what it frees
  OPENSSL_cleanse(ed25519_.data(), ed25519_.size());
}

std::expected<KeyPtr, std::string> Key::load(const std::string& path) {
  io::forbid_core_dumps();
  Secret pem;
  if (auto read = read_private(path, pem); !read) return std::unexpected(std::move(read.error()));
  return parse(pem.octets);
}

std::expected<KeyPtr, std::string> Key::parse(std::string_view pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CHECK(bio);
  bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!key) {
    if (pem.find("ENCRYPTED") != pem.npos)
      return std::unexpected("has a key under a password; openssl pkey writes it without one");
    return std::unexpected("has no private key in PEM; sluice dkim keygen makes one");
  }
  const int kind = EVP_PKEY_id(key.get());
  if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_ED25519)
    return std::unexpected("has a key that is neither RSA nor Ed25519");
  const auto bits = static_cast<unsigned>(EVP_PKEY_bits(key.get()));
  if (kind == EVP_PKEY_RSA && bits < rsa_bits_min)
    return std::unexpected(
        fmt::format("has an RSA key of {} bits; receivers take no signature of less than {}", bits,
                    rsa_bits_min));
  if (kind == EVP_PKEY_RSA && bits > rsa_bits_max)
    return std::unexpected(
        fmt::format("has an RSA key of {} bits; one of over {} takes so long to sign that "
                    "deliveries would wait",
                    bits, rsa_bits_max));
  const std::shared_ptr<const Key> made(new Key(key.release()));
  if (!made->is_consistent()) return std::unexpected("has a key whose parts do not fit each other");
  return made;
}

KeyPtr Key::generate(Algorithm algorithm, unsigned bits) {
  io::forbid_core_dumps();
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (algorithm == Algorithm::rsa_sha256) {
    CHECK(bits >= rsa_bits_min && bits <= rsa_bits_max);
    bssl::UniquePtr<RSA> rsa(RSA_new());
    const bssl::UniquePtr<BIGNUM> exponent(BN_new());
    CHECK(BN_set_word(exponent.get(), RSA_F4) == 1);
    CHECK(RSA_generate_key_ex(rsa.get(), static_cast<int>(bits), exponent.get(), nullptr) == 1);
    CHECK(EVP_PKEY_assign_RSA(key.get(), rsa.release()) == 1);
  } else {
    std::array<uint8_t, ED25519_PUBLIC_KEY_LEN> open;
    std::array<uint8_t, ED25519_PRIVATE_KEY_LEN> secret;
    ED25519_keypair(open.data(), secret.data());
    key.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), 32));
    OPENSSL_cleanse(secret.data(), secret.size());
  }
  return KeyPtr(new Key(key.release()));
}

/// Does its public part verify what its private part signs? Of a file that was put together by
/// hand.
bool Key::is_consistent() const {
  const Digest digest{1, 2, 3};
  if (algorithm_ == Algorithm::ed25519_sha256) return true;  // its public part was computed
  const RSA* rsa = EVP_PKEY_get0_RSA(key_);
  std::array<uint8_t, signature_bytes_max> signature;
  unsigned size = 0;
  const bool is_good = RSA_sign(NID_sha256, digest.data(), digest.size(), signature.data(), &size,
                                const_cast<RSA*>(rsa)) == 1 &&
                       RSA_verify(NID_sha256, digest.data(), digest.size(), signature.data(), size,
                                  const_cast<RSA*>(rsa)) == 1;
  ERR_clear_error();
  return is_good;
}

size_t Key::signature_bytes() const {
  return algorithm_ == Algorithm::rsa_sha256 ? static_cast<size_t>(EVP_PKEY_size(key_))
                                             : ED25519_SIGNATURE_LEN;
}

void Key::sign(const Digest& digest, char* out) const {
  auto* const octets = reinterpret_cast<uint8_t*>(out);
  if (algorithm_ == Algorithm::ed25519_sha256) {
    CHECK(ED25519_sign(octets, digest.data(), digest.size(), ed25519_.data()) == 1);
    return;
  }
  unsigned size = 0;
  CHECK(RSA_sign(NID_sha256, digest.data(), SHA256_DIGEST_LENGTH, octets, &size,
                 EVP_PKEY_get0_RSA(key_)) == 1);
}

std::string Key::pem() const {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(bio &&
        PEM_write_bio_PKCS8PrivateKey(bio.get(), key_, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  const uint8_t* octets = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio.get(), &octets, &size) == 1);
  return {reinterpret_cast<const char*>(octets), size};
}

}  // namespace sluice::engine::dkim
