#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/dns/host_list.h"
#include "io/socket_address.h"

namespace sluice::engine {

/// What demanded TLS of a connection beyond our configuration, in the words of RFC 8460 section
/// 4.2.
enum class TlsPolicyType : uint8_t { no_policy_found, tlsa, sts };
inline constexpr size_t tls_policy_types = 3;
constexpr std::string_view name(TlsPolicyType type) {
  constexpr std::array<std::string_view, tls_policy_types> names = {"no-policy-found", "tlsa",
                                                                    "sts"};
  return names[static_cast<size_t>(type)];
}

/// What TLS came to, in the words of RFC 8460 section 4.3.
enum class TlsResult : uint8_t {
  success,
  starttls_not_supported,
  certificate_host_mismatch,
  certificate_expired,
  certificate_not_trusted,
  validation_failure,  // anything else: no version or cipher in common, a break, an MX that the
                       // policy does not name
  tlsa_invalid,        // no record of a use: TLS without a look at the certificate
  dnssec_invalid,      // TLSA records could not be looked up: no connection was made
  sts_policy_fetch_error,
  sts_policy_invalid,
  sts_webpki_invalid,  // the certificate of the server that the policy is fetched from
};
inline constexpr size_t tls_results = 11;
constexpr std::string_view name(TlsResult result) {
  constexpr std::array<std::string_view, tls_results> names = {"success",
                                                               "starttls-not-supported",
                                                               "certificate-host-mismatch",
                                                               "certificate-expired",
                                                               "certificate-not-trusted",
                                                               "validation-failure",
                                                               "tlsa-invalid",
                                                               "dnssec-invalid",
                                                               "sts-policy-fetch-error",
                                                               "sts-policy-invalid",
                                                               "sts-webpki-invalid"};
  return names[static_cast<size_t>(result)];
}

/// One connection's, or of one that was not made. All of them come to Shard::note_tls(). Views are
/// good for the length of that call.
struct TlsOutcome {
  TlsPolicyType policy = TlsPolicyType::no_policy_found;
  TlsResult result = TlsResult::success;
  std::string_view domain;  // of the recipients; "" where the route has next hops
  std::string_view mx;
  sts::PolicyPtr sts;                        // where there is no host: the policy that forbids it
  const dns::Host* host = nullptr;           // null: no connection was made
  const io::SocketAddress* local = nullptr;  // likewise
  std::string_view reason;                   // "" of a success
};

}  // namespace sluice::engine
