#include "engine/session_tls.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "engine/send_buffers.h"
#include "io/check.h"

namespace sluice::engine {

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
  const bool is_demanded = policy.security.tls >= TlsPolicy::required;
  if (is_demanded)
    opening.tls = OpeningTls::demanded;
  else if (policy.protection && policy.protection->tls &&
           !desk_.memory.has_failed(host.address.text(), now))
    opening.tls = OpeningTls::if_offered;
  if (policy.protection && policy.protection->login) opening.login = &*policy.protection->login;
  return opening;
}

tls::HostMemory::Host SessionTls::key() const {
  return {policy_->protection->tls, host_->name, host_->address.text()};
}

void SessionTls::begin() {
  CHECK(!channel_ && policy_->protection);
  channel_ = std::make_unique<tls::Channel>(policy_->protection->tls, host_->name);
  channel_->start(outgoing_, desk_.memory.take_session(key()).get());
}

std::string_view SessionTls::receive(std::span<const std::byte> octets) {
  const bool was_shaking_hands = channel_->state() == State::handshake;
  desk_.plain_in.clear();
  channel_->receive(octets, desk_.plain_in, outgoing_);
  if (was_shaking_hands && channel_->is_established())
    description_ = fmt::format("{} {}", channel_->description(),
                               channel_->is_verified() ? "verified" : "unverified");
  if (auto session = channel_->take_session()) desk_.memory.keep_session(key(), std::move(session));
  return desk_.plain_in;
}

bool SessionTls::is_authenticated() const {
  return channel_->is_verified() && !policy_->next_hops.empty();
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
  if (!has_failed || policy_->security.tls != TlsPolicy::opportunistic) return false;
  desk_.memory.note_failure(host_->address.text(), now);
  return true;
}

}  // namespace sluice::engine
