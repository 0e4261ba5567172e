#include "engine/tls/host_memory.h"

#include <utility>

namespace sluice::engine::tls {

bssl::UniquePtr<SSL_SESSION> HostMemory::take_session(const Host& host) {
  const auto found = sessions_.find(host);
  if (found == sessions_.end() || !found->second) return nullptr;
  if (SSL_SESSION_should_be_single_use(found->second.get())) return std::move(found->second);
  return bssl::UpRef(found->second);
}

/// A host keeps its place in the order, and its entry when its session was used.
void HostMemory::keep_session(const Host& host, bssl::UniquePtr<SSL_SESSION> session) {
  const auto [place, is_new] = sessions_.try_emplace(host);
  place->second = std::move(session);
  if (!is_new) return;
  order_.push_back(host);
  if (order_.size() <= sessions_max) return;
  sessions_.erase(order_.front());
  order_.pop_front();
}

void HostMemory::note_failure(const std::string& address, io::Instant now) {
  if (!failures_.insert_or_assign(address, now).second) return;
  failure_order_.push_back(address);
  if (failure_order_.size() <= failures_max) return;
  failures_.erase(failure_order_.front());
  failure_order_.pop_front();
}

bool HostMemory::has_failed(const std::string& address, io::Instant now) const {
  const auto found = failures_.find(address);
  return found != failures_.end() && now - found->second < failure_kept;
}

}  // namespace sluice::engine::tls
