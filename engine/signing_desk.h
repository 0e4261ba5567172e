#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/dkim/keyring.h"
#include "engine/dkim/message_hash.h"
#include "engine/report/counters.h"
#include "io/event_loop.h"

namespace sluice::engine {

class SignedContent;

/// A shard's part in signing (DKIM): the keys, the contents that wait for their signatures, and
/// what messages of a campaign have in common. Signing takes so long that it would hold up the
/// deadlines of all sessions; so each turn does some of it, for turn_budget at most (two signatures
/// of RSA-2048), and the rest is for the turns that follow, in the order in which it came. What
/// else a turn does comes on top, and no deadline is to wait for more than 2 ms.
class SigningDesk {
 public:
  static constexpr io::Duration turn_budget = std::chrono::microseconds(1500);
  /// Octets that are hashed at once: some 0.1 ms.
  static constexpr size_t step_bytes = 32768;

  SigningDesk(io::EventLoop& loop, report::ShardCounters& counters);

  /// For messages whose signing begins from now on.
  void set_keys(dkim::KeyringPtr keys) { keys_ = std::move(keys); }
  bool has_keys() const { return keys_ && !keys_->is_empty(); }
  const dkim::KeyringPtr& keys() const { return keys_; }
  io::WallTime now() const { return loop_.wall(); }

  /// Some of the work, and the turn after this one does more when there is more.
  void turn_ended();
  void campaign_finished(uint64_t uid) { campaigns_.erase(uid); }

  // SignedContent's:
  using Queue = std::list<SignedContent*>;
  Queue::iterator add(SignedContent& content) { return queue_.insert(queue_.end(), &content); }
  void remove(Queue::iterator place) { queue_.erase(place); }

  /// What the messages of a campaign have in common.
  struct Campaign {
    /// The body as far as it is the same for all, once that was read.
    std::optional<dkim::MessageHash::Body> beginning;
    // Of a message that is the same for all; made by `keys`.
    std::string signatures;
    dkim::KeyringPtr keys;
    io::WallTime signed_at{};
  };
  Campaign& campaign(uint64_t uid) { return campaigns_[uid]; }
  void count_signature(dkim::Algorithm algorithm) {
    counters_.dkim_signatures[static_cast<size_t>(algorithm)].add();
  }
  std::unique_ptr<dkim::MessageHash> lend_hash();
  void give_back(std::unique_ptr<dkim::MessageHash> hash);
  std::span<char> scratch() { return scratch_; }

 private:
  static constexpr size_t hashes_kept_max = 64;

  io::EventLoop& loop_;
  report::ShardCounters& counters_;
  dkim::KeyringPtr keys_;
  Queue queue_;
  std::unordered_map<uint64_t, Campaign> campaigns_;  // by uid
  std::vector<std::unique_ptr<dkim::MessageHash>> hashes_;
  std::vector<char> scratch_;
  io::Duration signature_costs_ = turn_budget;  // of late; the first turns find out
};

}  // namespace sluice::engine
