#include "engine/tls/dane.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "io/check.h"

namespace sluice::engine::tls {
namespace {

using Record = TlsaRecord;

std::string_view text_of(const uint8_t* octets, size_t size) {
  return {reinterpret_cast<const char*>(octets), size};
}

/// What a record's selector takes of a certificate, in DER.
std::string selected(const X509* certificate, uint8_t selector) {
  uint8_t* octets = nullptr;
  const int size = selector == Record::selector_certificate
                       ? i2d_X509(const_cast<X509*>(certificate), &octets)
                       : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &octets);
  if (size < 0) return {};
  const std::string taken(text_of(octets, static_cast<size_t>(size)));
  OPENSSL_free(octets);
  return taken;
}

std::string digest_of(const std::string& octets, uint8_t matching) {
  const auto* from = reinterpret_cast<const uint8_t*>(octets.data());
  std::array<uint8_t, SHA512_DIGEST_LENGTH> digest;
  if (matching == Record::matching_full) return octets;
  if (matching == Record::matching_sha512)
    return std::string(text_of(SHA512(from, octets.size(), digest.data()), SHA512_DIGEST_LENGTH));
  return std::string(text_of(SHA256(from, octets.size(), digest.data()), SHA256_DIGEST_LENGTH));
}

bool matches(const Record& record, const X509* certificate) {
  const std::string octets = selected(certificate, record.selector);
  return !octets.empty() && digest_of(octets, record.matching) == record.data;
}

/// The usable ones, without those that a stronger digest of the same thing makes needless.
std::vector<const Record*> counted(const DanePolicy& policy) {
  std::vector<const Record*> found;
  for (const Record& record : policy.records) {
    const auto outdoes = [&](const Record& other) {
      return other.is_usable() && other.usage == record.usage &&
             other.selector == record.selector && other.matching > record.matching;
    };
    const bool is_outdone =
        record.matching != Record::matching_full && std::ranges::any_of(policy.records, outdoes);
    if (record.is_usable() && !is_outdone) found.push_back(&record);
  }
  return found;
}

/// A certificate, or the key of one, that the record holds whole: the peer need not send it.
bssl::UniquePtr<X509> certificate_in(const Record& record) {
  const auto* at = reinterpret_cast<const uint8_t*>(record.data.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &at, static_cast<long>(record.data.size())));
}
bssl::UniquePtr<EVP_PKEY> key_in(const Record& record) {
  const auto* at = reinterpret_cast<const uint8_t*>(record.data.data());
  return bssl::UniquePtr<EVP_PKEY>(d2i_PUBKEY(nullptr, &at, static_cast<long>(record.data.size())));
}

/// Adds to `anchors` what a record of usage 2 vouches for; false when that is nothing.
bool add_anchors(const Record& record, const stack_st_X509* chain, X509_STORE* anchors) {
  bool found = false;
  const bool is_full = record.matching == Record::matching_full;
  const bssl::UniquePtr<EVP_PKEY> key =
      is_full && record.selector == Record::selector_key ? key_in(record) : nullptr;
  for (size_t i = 0; i < sk_X509_num(chain); ++i) {
    X509* const certificate = sk_X509_value(chain, i);
    // What a trusted key has signed is as good as what is trusted itself.
    if (!matches(record, certificate) && !(key && X509_verify(certificate, key.get()) == 1))
      continue;
    found |= X509_STORE_add_cert(anchors, certificate) == 1;
  }
  if (is_full && record.selector == Record::selector_certificate)
    if (const auto certificate = certificate_in(record))
      found |= X509_STORE_add_cert(anchors, certificate.get()) == 1;
  return found;
}

bool is_for(X509* leaf, const std::string& name) {
  return !name.empty() && X509_check_host(leaf, name.data(), name.size(), 0, nullptr) == 1;
}

int judge_path(const DanePolicy& policy, const stack_st_X509* chain, X509_STORE* anchors) {
  X509* const leaf = sk_X509_value(chain, 0);
  const bssl::UniquePtr<X509_STORE_CTX> path(X509_STORE_CTX_new());
  CHECK(path != nullptr);
  auto* const sent = const_cast<stack_st_X509*>(chain);
  if (X509_STORE_CTX_init(path.get(), anchors, leaf, sent) != 1) return X509_V_ERR_UNSPECIFIED;
  X509_STORE_CTX_set_default(path.get(), "ssl_server");
  X509_STORE_CTX_set_flags(path.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  if (X509_verify_cert(path.get()) != 1) {
    const int error = X509_STORE_CTX_get_error(path.get());
    return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
  }
  const bool is_named =
      is_for(leaf, policy.base_domain) ||
      std::ranges::any_of(policy.other_names, [&](const auto& name) { return is_for(leaf, name); });
  return is_named ? X509_V_OK : X509_V_ERR_HOSTNAME_MISMATCH;
}

}  // namespace

bool TlsaRecord::is_usable() const {
  const bool is_known = (usage == usage_ta || usage == usage_ee) &&
                        (selector == selector_certificate || selector == selector_key);
  if (!is_known) return false;
  switch (matching) {
    case matching_full:
      return selector == selector_certificate ? certificate_in(*this) != nullptr
                                              : key_in(*this) != nullptr;
    case matching_sha256: return data.size() == SHA256_DIGEST_LENGTH;
    case matching_sha512: return data.size() == SHA512_DIGEST_LENGTH;
    default:              return false;
  }
}

bool DanePolicy::is_usable() const { return std::ranges::any_of(records, &TlsaRecord::is_usable); }

std::string DanePolicy::owner() const { return fmt::format("_{}._tcp.{}", port, base_domain); }

int judge(const DanePolicy& policy, const stack_st_X509* chain) {
  CHECK(policy.is_usable());
  if (chain == nullptr || sk_X509_num(chain) == 0) return X509_V_ERR_CERT_UNTRUSTED;
  const bssl::UniquePtr<X509_STORE> anchors(X509_STORE_new());
  CHECK(anchors != nullptr);
  bool has_anchor = false;
  for (const Record* record : counted(policy)) {
    if (record->usage == Record::usage_ta)
      has_anchor |= add_anchors(*record, chain, anchors.get());
    else if (matches(*record, sk_X509_value(chain, 0)))
      return X509_V_OK;
  }
  const int verdict =
      has_anchor ? judge_path(policy, chain, anchors.get()) : X509_V_ERR_CERT_UNTRUSTED;
  ERR_clear_error();
  return verdict;
}

}  // namespace sluice::engine::tls
