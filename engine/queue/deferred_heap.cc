#include "engine/queue/deferred_heap.h"

namespace sluice::engine::queue {

void DeferredHeap::push(PackedRecipient recipient, bool is_warned_first) {
  recipient.is_warned_first_ = is_warned_first;
  heap_.push_back(recipient);
  std::ranges::push_heap(heap_, later());
}

PackedRecipient DeferredHeap::pop() {
  std::ranges::pop_heap(heap_, later());
  PackedRecipient first = heap_.back();
  heap_.pop_back();
  first.is_warned_first_ = false;
  return first;
}

void DeferredHeap::order() { std::ranges::make_heap(heap_, later()); }

}  // namespace sluice::engine::queue
