#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace sluice::io {

/// A bounded queue of values from one thread to one other: no lock, no allocation. Full is an
/// answer ("not now"). After pushing, the sender wakes the receiver's Proactor, once a turn and not
/// per message.
template <class T, size_t capacity>
class Mailbox {
  static_assert((capacity & (capacity - 1)) == 0, "capacity is a power of two");

 public:
  /// Sender only. False when full; `value` is untouched then.
  bool push(T&& value) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ == capacity) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ == capacity) return false;
    }
    slots_[tail % capacity] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  /// Receiver only.
  std::optional<T> pop() {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return std::nullopt;
    }
    std::optional<T> value(std::exchange(slots_[head % capacity], T{}));
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

 private:
  static constexpr size_t line_bytes = 64;
  alignas(line_bytes) std::atomic<size_t> head_{0};
  alignas(line_bytes) std::atomic<size_t> tail_{0};
  alignas(line_bytes) size_t head_seen_ =
      0;  // the sender's copy of head_: the line is shared only when it looks full
  alignas(line_bytes) size_t tail_seen_ = 0;  // the receiver's copy of tail_
  alignas(line_bytes) std::array<T, capacity> slots_{};
};

}  // namespace sluice::io
