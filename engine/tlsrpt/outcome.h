#pragma once

#include <string>

#include "engine/sts/policy.h"
#include "engine/tls/dane.h"
#include "engine/tls_outcome.h"
#include "io/socket_address.h"

namespace sluice::engine::tlsrpt {

/// A TlsOutcome that has a domain to report to, on its way to another thread.
struct Outcome {
  static constexpr size_t reason_octets_max = 200;

  TlsPolicyType policy = TlsPolicyType::no_policy_found;
  TlsResult result = TlsResult::success;
  std::string domain, mx, reason;
  io::SocketAddress local, remote;  // none: no connection was made
  sts::PolicyPtr sts;               // of policy `sts`; null: none could be had
  tls::DanePolicyPtr dane;          // of policy `tlsa`; null: its records could not be looked up

  static Outcome of(const TlsOutcome& outcome);
};

}  // namespace sluice::engine::tlsrpt
