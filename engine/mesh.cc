#include "engine/mesh.h"

namespace sluice::engine {

Mesh::Mesh(unsigned shards) : shards_(shards) {
  for (Shard& shard : shards_) {
    for (unsigned from = 0; from < shards; ++from) shard.inboxes.push_back(std::make_unique<Box>());
    shard.outgoing = std::vector<Sender>(shards);
  }
}

void Mesh::post(unsigned from, unsigned to, Message&& message) {
  if (from == to) {
    shards_[to].to_self.push_back(std::move(message));
    return;
  }
  Sender& sender = shards_[from].outgoing[to];
  sender.wake = true;
  if (!sender.waiting.empty() || !box(from, to).push(std::move(message)))
    sender.waiting.push_back(std::move(message));
}

bool Mesh::flush(unsigned from) {
  bool waits = !shards_[from].to_self.empty();
  for (unsigned to = 0; to < shards_.size(); ++to) {
    Sender& sender = shards_[from].outgoing[to];
    while (!sender.waiting.empty() && box(from, to).push(std::move(sender.waiting.front())))
      sender.waiting.pop_front();
    if (std::exchange(sender.wake, !sender.waiting.empty()))
      shards_[to].proactor->wake(*shards_[from].proactor);
    waits |= !sender.waiting.empty();
  }
  return waits;
}

}  // namespace sluice::engine
