#include "tests/unit/engine/tls/certificate_files.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include <cstdio>

#include "io/check.h"

namespace sluice::engine::tls {
namespace {

bssl::UniquePtr<EVP_PKEY> make_key(bool is_rsa) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (is_rsa) {
    bssl::UniquePtr<RSA> rsa(RSA_new());
    bssl::UniquePtr<BIGNUM> exponent(BN_new());
    CHECK(BN_set_word(exponent.get(), RSA_F4));
    CHECK(RSA_generate_key_ex(rsa.get(), 2048, exponent.get(), nullptr));
    CHECK(EVP_PKEY_set1_RSA(key.get(), rsa.get()));
  } else {
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    CHECK(EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  }
  return key;
}

}  // namespace

CertificateFiles::CertificateFiles(bool is_rsa) {
  std::string name = std::filesystem::temp_directory_path() / "sluice-tls-XXXXXX";
  CHECK(mkdtemp(name.data()) != nullptr);
  folder_ = name;
  const bssl::UniquePtr<EVP_PKEY> key = make_key(is_rsa);
  const bssl::UniquePtr<X509> certificate(X509_new());
  X509* const x509 = certificate.get();
  CHECK(X509_set_version(x509, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x509), 1));
  CHECK(X509_gmtime_adj(X509_getm_notBefore(x509), -3600) &&
        X509_gmtime_adj(X509_getm_notAfter(x509), 3600));
  X509_NAME* const subject = X509_get_subject_name(x509);
  const auto* host = reinterpret_cast<const uint8_t*>("mx.example");
  CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, host, -1, -1, 0));
  CHECK(X509_set_issuer_name(x509, subject) && X509_set_pubkey(x509, key.get()));
  CHECK(X509_sign(x509, key.get(), EVP_sha256()) > 0);
  std::FILE* file = std::fopen(this->certificate().c_str(), "we");
  CHECK(file != nullptr && PEM_write_X509(file, x509) == 1 && std::fclose(file) == 0);
  file = std::fopen(this->key().c_str(), "we");
  CHECK(file != nullptr &&
        PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
        std::fclose(file) == 0);
}

}  // namespace sluice::engine::tls
