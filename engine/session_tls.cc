#include "engine/session_tls.h"

#include <fmt/format.h>
#include <openssl/x509.h>

#include <cstring>
#include <utility>

#include "engine/send_buffers.h"
#include "io/check.h"

namespace sluice::engine {

namespace {

TlsResult result_of(sts::Fault fault) {
  switch (fault) {
    case sts::Fault::none:    return TlsResult::success;
    case sts::Fault::fetch:   return TlsResult::sts_policy_fetch_error;
    case sts::Fault::webpki:  return TlsResult::sts_webpki_invalid;
    case sts::Fault::invalid: return TlsResult::sts_policy_invalid;
  }
  return TlsResult::validation_failure;
}

}  // namespace

using State = tls::Channel::State;
using OpeningTls = smtp::Opening::Tls;

smtp::Opening SessionTls::connected(const DestinationPolicy& policy, const dns::Host& host,
                                    io::Instant now) {
  policy_ = &policy;
  host_ = &host;
  channel_.reset();
  outgoing_ = {};
  description_.clear();
  smtp::Opening opening;
  CHECK(!host.dane || policy.has_dane());
  if (is_demanded())
    opening.tls = OpeningTls::demanded;
  else if (policy.protection && policy.protection->tls &&
           !desk_.memory.has_failed(host.address.text(), now))
    opening.tls = OpeningTls::if_offered;
  is_wanted_ = opening.tls != OpeningTls::unused;
  if (policy.protection && policy.protection->login) opening.login = &*policy.protection->login;
  return opening;
}

bool SessionTls::is_demanded() const {
  return policy_->security.tls >= TlsPolicy::required || host_->dane || is_sts_enforced();
}

bool SessionTls::is_sts_enforced() const { return host_->sts && host_->sts->is_enforced(); }

/// RFC 7672 section 2.2: records none of which is of a use demand TLS, and nothing of the peer.
tls::Peer SessionTls::peer() const {
  if (host_->dane && host_->dane->is_usable())
    return {.name = host_->dane->base_domain, .dane = host_->dane};
  return {.name = host_->name, .must_verify = is_sts_enforced()};
}

tls::HostMemory::Host SessionTls::key() const {
  std::string demand = peer().must_verify ? "verified" : "";
  if (const tls::DanePolicyPtr dane = peer().dane)
    for (const tls::TlsaRecord& record : dane->records)
      demand += fmt::format("{} {} {} {} {} ", record.usage, record.selector, record.matching,
                            record.data.size(), record.data);
  return {policy_->protection->tls, host_->name, host_->address.text(), std::move(demand)};
}

void SessionTls::begin() {
  CHECK(!channel_ && policy_->protection);
  channel_ = std::make_unique<tls::Channel>(policy_->protection->tls, peer());
  channel_->start(outgoing_, desk_.memory.take_session(key()).get());
}

std::string_view SessionTls::receive(std::span<const std::byte> octets) {
  const bool was_shaking_hands = channel_->state() == State::handshake;
  desk_.plain_in.clear();
  channel_->receive(octets, desk_.plain_in, outgoing_);
  if (was_shaking_hands && channel_->is_established())
    description_ =
        fmt::format("{} {}{}", channel_->description(),
                    channel_->is_verified() ? "verified" : "unverified", name_of_demand());
  if (auto session = channel_->take_session()) desk_.memory.keep_session(key(), std::move(session));
  return desk_.plain_in;
}

std::string_view SessionTls::name_of_demand() const {
  if (is_sts_enforced()) return " sts";
  if (host_->dane) return " dane";
  return host_->sts && host_->sts->finding.policy ? " sts-testing" : "";
}

bool SessionTls::is_authenticated() const {
  // An MX is as true as DNS is.
  const bool is_proven_mx = peer().dane || is_sts_enforced();
  return channel_->is_verified() && (!policy_->next_hops.empty() || is_proven_mx);
}

TlsPolicyType SessionTls::policy_type() const {
  if (host_->dane) return TlsPolicyType::tlsa;
  return host_->sts ? TlsPolicyType::sts : TlsPolicyType::no_policy_found;
}

TlsResult SessionTls::result() const {
  if (!host_->dane && host_->sts) {
    if (!host_->sts->finding.policy) return result_of(host_->sts->finding.fault);
    if (!host_->sts->names_host) return TlsResult::validation_failure;
  }
  if (!channel_) return TlsResult::starttls_not_supported;
  const bool is_good = is_established() && channel_->state() != State::failed;
  if (is_good && host_->dane && !host_->dane->is_usable()) return TlsResult::tlsa_invalid;
  // A policy that is tested minds what we do not.
  const bool is_minded = !is_good || (host_->sts && !channel_->is_verified());
  if (!is_minded) return TlsResult::success;
  if (!is_good && !channel_->was_refused()) return TlsResult::validation_failure;
  switch (channel_->verdict()) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:    return TlsResult::certificate_expired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TlsResult::certificate_host_mismatch;
    default:                             return TlsResult::certificate_not_trusted;
  }
}

std::string SessionTls::demand() const {
  if (host_->dane) return fmt::format("DANE, {}", host_->dane->owner());
  if (is_sts_enforced()) return fmt::format("MTA-STS of {}", host_->sts->domain);
  if (policy_->security.tls < TlsPolicy::required) return "";
  return policy_->security.tls == TlsPolicy::verified ? "tls = verified" : "tls = required";
}

std::string SessionTls::failure() const {
  if (!channel_) return {};
  if (channel_->state() == State::ended) return "connection closed by peer";
  if (channel_->state() != State::failed) return {};
  return fmt::format(
      "{}{}", is_established() ? "TLS failed: " : "TLS handshake failed: ", channel_->failure());
}

std::span<char> SessionTls::room() {
  if (!desk_.plain_out) desk_.plain_out = std::make_unique<char[]>(record_bytes_max);
  return {desk_.plain_out.get(), record_bytes_max};
}

size_t SessionTls::encrypt(size_t octets, std::span<char> block) {
  desk_.wire.clear();
  channel_->send({desk_.plain_out.get(), octets}, desk_.wire);
  CHECK(desk_.wire.size() <= block.size());
  std::memcpy(block.data(), desk_.wire.data(), desk_.wire.size());
  return desk_.wire.size();
}

void SessionTls::close() {
  if (channel_) channel_->close(outgoing_);
}

/// What the server thinks of our side of a TLS 1.3 handshake is told after it, in an alert.
bool SessionTls::falls_back(io::Instant now) {
  const bool has_failed = channel_ && (!is_established() || channel_->state() == State::failed);
  if (!has_failed || is_demanded()) return false;
  desk_.memory.note_failure(host_->address.text(), now);
  return true;
}

}  // namespace sluice::engine
