#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "spool/deferral.h"

namespace sluice::spool {

/// The deferrals of one campaign by recipient, in 16 octets each and a quarter of an octet for each
/// recipient up to the highest. Moved, never copied.
class Deferrals {
 public:
  class Iterator;

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  bool contains(uint32_t recipient) const;
  Iterator find(uint32_t recipient) const;
  /// It must be there.
  Deferral at(uint32_t recipient) const;
  /// The first of a recipient that is not before this one; on from there they ascend.
  Iterator lower_bound(uint32_t recipient) const;
  Iterator begin() const;
  Iterator end() const;
  /// Who is there, a bit each, from the lowest: recipients from 64 * `word`.
  uint64_t present(size_t word) const { return pages_[word].present; }
  size_t words() const { return pages_.size(); }

  /// In place of the one that is there, if one is.
  void put(const Deferral& deferral);
  void erase(uint32_t recipient);

 private:
  struct Slot {
    int64_t next_attempt_ns = 0;  // since 1970
    uint16_t attempt = 0, refusals = 0, transfers = 0;
    bool was_told = false, is_intent = false;
  };
  static_assert(sizeof(Slot) == 16);
  /// Of 64 recipients: those that are there, one behind the other.
  struct Page {
    uint64_t present = 0;
    std::unique_ptr<Slot[]> slots;  // at least bit_ceil(how many are there)

    bool has(uint32_t recipient) const { return present >> recipient % 64 & 1; }
    size_t count() const { return static_cast<size_t>(std::popcount(present)); }
    size_t place(uint32_t recipient) const {
      return static_cast<size_t>(std::popcount(present & ((uint64_t{1} << recipient % 64) - 1)));
    }
    void insert(uint32_t recipient);
    void erase(uint32_t recipient);
  };
  Deferral get(uint32_t recipient) const;

  std::vector<Page> pages_;
  size_t size_ = 0;
};

class Deferrals::Iterator {
 public:
  using value_type = std::pair<uint32_t, Deferral>;

  const value_type& operator*() const { return now_; }
  const value_type* operator->() const { return &now_; }
  Iterator& operator++() { return *this = all_->lower_bound(now_.first + 1); }
  friend bool operator==(const Iterator& a, const Iterator& b) {
    return a.is_end_ == b.is_end_ && (a.is_end_ || a.now_.first == b.now_.first);
  }

 private:
  friend class Deferrals;
  explicit Iterator(const Deferrals& all) : all_(&all) {}
  Iterator(const Deferrals& all, uint32_t recipient)
      : all_(&all), is_end_(false), now_(recipient, all.get(recipient)) {}

  const Deferrals* all_;
  bool is_end_ = true;
  value_type now_;
};

inline Deferrals::Iterator Deferrals::begin() const { return lower_bound(0); }
inline Deferrals::Iterator Deferrals::end() const { return Iterator(*this); }

}  // namespace sluice::spool
