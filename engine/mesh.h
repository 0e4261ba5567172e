#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/message.h"
#include "io/mailbox.h"
#include "io/proactor.h"

namespace sluice::engine {

/// The mailboxes between all shards, one per ordered pair, and a shard's own letters to itself.
/// What a full mailbox does not take waits with its sender; it is bounded by what the shards lend
/// each other.
class Mesh {
 public:
  explicit Mesh(unsigned shards);

  unsigned shards() const { return static_cast<unsigned>(shards_.size()); }

  /// Before any other use, once for each shard, by its thread; then all wait for each other.
  void attach(unsigned shard, io::Proactor& proactor) { shards_[shard].proactor = &proactor; }

  void post(unsigned from, unsigned to, Message&& message);

  /// Hands every letter for `to` to `handle(Message&&)`, those it writes to itself meanwhile too.
  /// Thread of `to`.
  template <class Handler>
  void drain(unsigned to, Handler&& handle);

  /// End of a turn of `from`: tries again what waits and wakes those who got letters. True when
  /// letters still wait: turn again soon.
  bool flush(unsigned from);

 private:
  static constexpr size_t mailbox_letters = 256;
  using Box = io::Mailbox<Message, mailbox_letters>;
  struct Sender {
    std::deque<Message> waiting;
    bool wake = false;
  };
  struct Shard {
    io::Proactor* proactor = nullptr;
    std::deque<Message> to_self;
    std::vector<std::unique_ptr<Box>> inboxes;  // by sender
    std::vector<Sender> outgoing;               // by receiver
  };
  Box& box(unsigned from, unsigned to) { return *shards_[to].inboxes[from]; }
  std::vector<Shard> shards_;
};

template <class Handler>
void Mesh::drain(unsigned to, Handler&& handle) {
  Shard& self = shards_[to];
  for (unsigned from = 0; from < shards_.size(); ++from) {
    if (from == to) continue;
    while (auto message = box(from, to).pop()) handle(std::move(*message));
  }
  while (!self.to_self.empty()) {
    Message message = std::move(self.to_self.front());
    self.to_self.pop_front();
    handle(std::move(message));
  }
}

}  // namespace sluice::engine
