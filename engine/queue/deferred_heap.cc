#include "engine/queue/deferred_heap.h"

namespace sluice::engine::queue {

void DeferredHeap::push(PackedRecipient recipient, bool is_warned_first) {
  recipient.is_warned_first_ = is_warned_first;
  size_t place = heap_.size();
  heap_.push_back(recipient);
  for (; place > 0 && due(recipient) < due(heap_[(place - 1) / 2]); place = (place - 1) / 2)
    heap_[place] = heap_[(place - 1) / 2];
  heap_[place] = recipient;
}

PackedRecipient DeferredHeap::pop() {
  PackedRecipient first = heap_[0];
  heap_[0] = heap_[heap_.size() - 1];
  heap_.pop_back();
  sift_down(0);
  first.is_warned_first_ = false;
  return first;
}

void DeferredHeap::sift_down(size_t place) {
  const size_t size = heap_.size();
  if (place >= size) return;
  const PackedRecipient recipient = heap_[place];
  for (size_t child = 2 * place + 1; child < size; child = 2 * place + 1) {
    if (child + 1 < size && due(heap_[child + 1]) < due(heap_[child])) ++child;
    if (due(recipient) <= due(heap_[child])) break;
    heap_[place] = heap_[child];
    place = child;
  }
  heap_[place] = recipient;
}

}  // namespace sluice::engine::queue
