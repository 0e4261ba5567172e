#include "engine/tlsrpt/outcome.h"

namespace sluice::engine::tlsrpt {

Outcome Outcome::of(const TlsOutcome& outcome) {
  Outcome own{.policy = outcome.policy,
              .result = outcome.result,
              .domain = std::string(outcome.domain),
              .mx = std::string(outcome.mx),
              .reason = std::string(outcome.reason.substr(0, reason_octets_max)),
              .sts = outcome.sts};
  if (outcome.local != nullptr) own.local = *outcome.local;
  if (outcome.host == nullptr) return own;
  own.remote = outcome.host->address;
  if (own.policy == TlsPolicyType::tlsa) own.dane = outcome.host->dane;
  if (own.policy == TlsPolicyType::sts) own.sts = outcome.host->sts->finding.policy;
  return own;
}

}  // namespace sluice::engine::tlsrpt
