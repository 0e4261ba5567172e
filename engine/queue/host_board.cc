#include "engine/queue/host_board.h"

#include <algorithm>

namespace sluice::engine::queue {

void HostBoard::set(dns::HostListPtr list) {
  std::vector<io::Instant> probe_at(list->hosts.size());
  for (size_t i = 0; i < probe_at.size(); ++i)
    for (size_t old = 0; old < probe_at_.size(); ++old)
      if (list_->hosts[old].address == list->hosts[i].address) probe_at[i] = probe_at_[old];
  list_ = std::move(list);
  probe_at_ = std::move(probe_at);
  publish();
}

bool HostBoard::note(const HostNews& news, io::Instant now) {
  for (size_t i = 0; i < probe_at_.size(); ++i) {
    if (list_->hosts[i].address != news.address) continue;
    const bool was_suspect = probe_at_[i] != io::Instant{};
    if (!news.opened) probe_at_[i] = now + suspicion_;
    if (news.opened) probe_at_[i] = {};
    if (was_suspect == !news.opened) return false;
    publish();
    return true;
  }
  return false;
}

void HostBoard::publish() {
  std::vector<bool> suspects(probe_at_.size());
  for (size_t i = 0; i < suspects.size(); ++i) suspects[i] = probe_at_[i] != io::Instant{};
  suspects_ = std::ranges::find(suspects, true) == suspects.end()
                  ? nullptr
                  : std::make_shared<const std::vector<bool>>(std::move(suspects));
}

std::optional<uint16_t> HostBoard::take_probe(io::Instant now) {
  if (!suspects_) return {};
  for (size_t i = 0; i < probe_at_.size(); ++i) {
    if (probe_at_[i] == io::Instant{} || probe_at_[i] > now) continue;
    probe_at_[i] = now + suspicion_;
    return static_cast<uint16_t>(i);
  }
  return {};
}

}  // namespace sluice::engine::queue
