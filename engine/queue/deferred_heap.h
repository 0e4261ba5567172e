#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "engine/queue/packed_recipient.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// A queue's recipients that wait for their time, the earliest first: 25 octets each, in pieces
/// that come and go with their number.
class DeferredHeap {
 public:
  explicit DeferredHeap(const RecipientPacker& packer) : packer_(packer) {}
  DeferredHeap(const DeferredHeap&) = delete;

  size_t size() const { return heap_.size(); }
  /// When the first is due: to be tried, or its sender to be told. `never` when there is none.
  io::Instant next() const { return heap_.empty() ? io::never : due(heap_.front()); }

  /// `is_warned_first`: it is due when its mailing warns, its own time comes later. O(log n).
  void push(PackedRecipient recipient, bool is_warned_first);
  /// The first; there must be one. O(log n).
  PackedRecipient pop();

  /// Takes those out that `is_wanted`, in no order. O(n).
  template <class Predicate>
  std::deque<PackedRecipient> take_if(Predicate&& is_wanted) {
    std::deque<PackedRecipient> taken;
    for (size_t n = heap_.size(); n > 0; --n) {  // piece by piece: there is memory for one of each
      const PackedRecipient recipient = heap_.front();
      heap_.pop_front();
      (is_wanted(recipient) ? taken : heap_).push_back(recipient);
    }
    order();
    return taken;
  }
  /// O(n).
  template <class Predicate>
  size_t count_if(Predicate&& is_wanted) const {
    return static_cast<size_t>(std::ranges::count_if(heap_, is_wanted));
  }

 private:
  io::Instant due(const PackedRecipient& recipient) const {
    return recipient.is_warned_first_ ? packer_.warns(recipient) : recipient.retry_at();
  }
  auto later() const {
    return [this](const PackedRecipient& a, const PackedRecipient& b) { return due(a) > due(b); };
  }
  void order();

  const RecipientPacker& packer_;
  std::deque<PackedRecipient> heap_;
};

}  // namespace sluice::engine::queue
