#pragma once

#include <cstddef>

#include "engine/queue/packed_recipient.h"
#include "engine/queue/recipient_line.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// A queue's recipients that wait for their time, the earliest first.
class DeferredHeap {
 public:
  explicit DeferredHeap(const RecipientPacker& packer) : packer_(packer) {}
  DeferredHeap(const DeferredHeap&) = delete;

  size_t size() const { return heap_.size(); }
  /// When the first is due: to be tried, or its sender to be told. `never` when there is none.
  io::Instant next() const { return heap_.empty() ? io::never : due(heap_[0]); }

  /// `is_warned_first`: it is due when its mailing warns, its own time comes later. O(log n).
  void push(PackedRecipient recipient, bool is_warned_first);
  /// The first; there must be one. O(log n).
  PackedRecipient pop();

  /// Takes those out that `is_wanted`, in no order. O(n).
  RecipientLine take_if(auto&& is_wanted) {
    RecipientLine taken;
    for (size_t n = heap_.size(); n > 0; --n) {  // in place: there is memory for one of each
      const PackedRecipient recipient = heap_.pop_front();
      (is_wanted(recipient) ? taken : heap_).push_back(recipient);
    }
    for (size_t i = heap_.size() / 2; i > 0; --i) sift_down(i - 1);
    return taken;
  }
  /// O(n).
  size_t count_if(auto&& is_wanted) const {
    size_t count = 0;
    for (size_t i = 0; i < heap_.size(); ++i) count += is_wanted(heap_[i]);
    return count;
  }

 private:
  io::Instant due(const PackedRecipient& recipient) const {
    return recipient.is_warned_first_ ? packer_.warns(recipient) : recipient.retry_at();
  }
  void sift_down(size_t place);

  const RecipientPacker& packer_;
  RecipientLine heap_;  // [i] is due no later than [2i + 1] and [2i + 2]
};

}  // namespace sluice::engine::queue
