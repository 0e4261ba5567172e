#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "engine/queue/packed_recipient.h"

namespace sluice::engine::queue {

/// Recipients in a row: 25 octets each, in pieces that come and go with their number; an empty one
/// has none. Both ends in amortised constant time.
class RecipientLine {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  PackedRecipient& operator[](size_t i) {
    return (*pieces_[(begin_ + i) / piece_size])[(begin_ + i) % piece_size];
  }
  const PackedRecipient& operator[](size_t i) const {
    return (*pieces_[(begin_ + i) / piece_size])[(begin_ + i) % piece_size];
  }

  void push_back(const PackedRecipient& recipient);
  void push_front(const PackedRecipient& recipient);
  /// There must be one.
  PackedRecipient pop_front();
  PackedRecipient pop_back();
  /// Removes [first, last). O(first or what is behind last, whichever is less, and last - first).
  void erase(size_t first, size_t last);

 private:
  static constexpr size_t piece_size = 16;
  using Piece = std::array<PackedRecipient, piece_size>;

  std::vector<std::unique_ptr<Piece>> pieces_;  // null: before the first
  size_t begin_ = 0, size_ = 0;
};

}  // namespace sluice::engine::queue
