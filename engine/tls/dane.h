#pragma once

#include <openssl/base.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct stack_st_X509;  // BoringSSL's STACK_OF(X509)

namespace sluice::engine::tls {

/// A TLSA record (RFC 6698 section 2.1): what a certificate is to be like.
struct TlsaRecord {
  static constexpr uint8_t usage_ta = 2, usage_ee = 3;
  static constexpr uint8_t selector_certificate = 0, selector_key = 1;
  static constexpr uint8_t matching_full = 0, matching_sha256 = 1, matching_sha512 = 2;

  uint8_t usage = 0, selector = 0, matching = 0;
  std::string data;

  /// DANE-TA or DANE-EE, in a form that we know and of a length that it has (RFC 7672 section 3.1):
  /// PKIX-TA and PKIX-EE are of no use to SMTP.
  bool is_usable() const;
  friend auto operator<=>(const TlsaRecord&, const TlsaRecord&) = default;
};

/// What DNS, signed, demands of a host (RFC 7672): TLS at least; with a usable record, that the
/// certificate match one.
struct DanePolicy {
  std::string base_domain;               // TLSA records lie below it; the name that is sent (SNI)
  std::vector<std::string> other_names;  // that a certificate for usage 2 may be for instead
  uint16_t port = 0;
  std::vector<TlsaRecord> records;  // all there are, one at least; ascending

  bool is_usable() const;
  /// "_25._tcp.mx.example.net".
  std::string owner() const;
};
using DanePolicyPtr = std::shared_ptr<const DanePolicy>;

/// Judges a peer by the usable records of `policy`, of which there must be some: X509_V_OK, or why
/// not, as an X509_V_ERR_: CERT_UNTRUSTED where no record matches. `chain`: what the peer sent, the
/// leaf first. Usage 3 looks at the leaf alone, at neither names nor dates (RFC 7672 section
/// 3.1.1); usage 2 at the path from the leaf to what the record names, its dates, and that the leaf
/// is for one of the names (section 3.1.2). Of several digests of one thing the strongest counts
/// (RFC 7671 section 9).
int judge(const DanePolicy& policy, const stack_st_X509* chain);

}  // namespace sluice::engine::tls
