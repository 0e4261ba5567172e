#include "engine/queue/recipient_line.h"

#include <algorithm>

namespace sluice::engine::queue {

void RecipientLine::push_back(const PackedRecipient& recipient) {
  const size_t piece = (begin_ + size_) / piece_size;
  if (piece == pieces_.size()) pieces_.push_back(std::make_unique<Piece>());
  ++size_;
  (*this)[size_ - 1] = recipient;
}

void RecipientLine::push_front(const PackedRecipient& recipient) {
  if (begin_ == 0) {
    const size_t more = std::max<size_t>(pieces_.size(), 1);
    std::vector<std::unique_ptr<Piece>> wider(more + pieces_.size());
    std::ranges::move(pieces_, wider.begin() + static_cast<ptrdiff_t>(more));
    pieces_ = std::move(wider);
    begin_ = more * piece_size;
  }
  --begin_, ++size_;
  if (std::unique_ptr<Piece>& piece = pieces_[begin_ / piece_size]; !piece)
    piece = std::make_unique<Piece>();
  (*this)[0] = recipient;
}

PackedRecipient RecipientLine::pop_front() {
  const PackedRecipient first = (*this)[0];
  ++begin_, --size_;
  if (size_ == 0) {
    pieces_ = std::vector<std::unique_ptr<Piece>>();
    begin_ = 0;
  } else if (begin_ % piece_size == 0) {
    const size_t gone = begin_ / piece_size;
    pieces_[gone - 1] = nullptr;
    if (gone > pieces_.size() / 2) {
      pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(gone));
      begin_ = 0;
    }
  }
  return first;
}

PackedRecipient RecipientLine::pop_back() {
  const PackedRecipient last = (*this)[size_ - 1];
  --size_;
  if (size_ == 0) {
    pieces_ = std::vector<std::unique_ptr<Piece>>();
    begin_ = 0;
  } else if ((begin_ + size_) % piece_size == 0) {
    pieces_.pop_back();
  }
  return last;
}

void RecipientLine::erase(size_t first, size_t last) {
  const size_t behind = size_ - last;
  if (first <= behind) {
    for (size_t i = first; i > 0; --i) (*this)[last - first + i - 1] = (*this)[i - 1];
    for (size_t n = last - first; n > 0; --n) pop_front();
  } else {
    for (size_t i = 0; i < behind; ++i) (*this)[first + i] = (*this)[last + i];
    for (size_t n = last - first; n > 0; --n) pop_back();
  }
}

}  // namespace sluice::engine::queue
