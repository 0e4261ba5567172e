#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/intake/spill_file.h"

namespace sluice::engine::intake {

/// Recipients in the order of (domain, local part, input), each address once and the suppressed
/// ones not at all; addresses are compared without regard to ASCII case. An external merge sort:
/// what fits into the bound is sorted in memory, a longer list in runs that are spilled to an
/// unlinked file. Memory: the bound, and while merging merge_bytes more.
class DestinationSort {
 public:
  static constexpr size_t memory_bytes_default = 32 * 1024 * 1024;
  static constexpr size_t merge_bytes = 8 * 1024 * 1024;

  /// `folder` takes the spill file, should one be needed. `memory_bytes` holds at least one entry
  /// of the largest size.
  DestinationSort(size_t memory_bytes, std::string folder);
  ~DestinationSort();

  /// A recipient; `address` ("local@domain", `local_bytes` of it before the @, domain in normal
  /// form) lies within `entry`. Both are copied. The error is an errno of the spill file.
  std::expected<void, int> add(std::string_view entry, std::string_view address,
                               size_t local_bytes);
  /// No recipient with this address is to come out, or none of this domain when it is `@domain`.
  std::expected<void, int> suppress(std::string_view address);

  /// No more is added; next() may be called.
  std::expected<void, int> finish();

  struct Sorted {
    std::string_view domain;
    std::string_view address;
    std::string_view entry;
  };
  /// The next recipient, valid until the next call; nullopt after the last.
  std::expected<std::optional<Sorted>, int> next();

  uint64_t duplicates() const { return duplicates_; }
  uint64_t suppressed() const { return suppressed_; }  // recipients dropped
  size_t runs() const { return runs_.size(); }         // that were spilled

 private:
  // One of the run in memory; sorted instead of the records. `domain` is its number in domains_,
  // when sorting its rank.
  struct Item {
    uint32_t domain, record;  // offset in arena_
    uint64_t local_start;     // the folded local part's first octets, big-endian
  };
  struct Run {
    uint64_t offset, bytes;
  };
  class Cursor;
  class SpilledCursor;
  class MemoryCursor;
  struct Record;
  struct After;

  std::expected<void, int> add_record(const Record& record);
  size_t memory_used() const;
  std::span<Item> items();
  void sort_run();
  std::expected<void, int> spill_run();
  bool comes_before(size_t a, size_t b) const;
  bool is_dropped(const Record& record);

  const size_t memory_bytes_;
  const std::string folder_;
  std::unique_ptr<char[]> arena_;  // records from the front, items from the back
  size_t records_bytes_ = 0, items_ = 0;
  std::unordered_map<std::string_view, uint32_t> domain_numbers_;  // of this run; views into arena_
  std::vector<std::string_view> domains_;
  std::optional<SpillFile> spill_;
  std::vector<Run> runs_;

  std::vector<std::unique_ptr<Cursor>> cursors_;  // one a run, in input order
  std::vector<size_t> heap_;                      // of cursors_ that are not at their end
  bool must_advance_ = false;                     // the first of the heap was handed out
  std::string last_address_;
  size_t last_local_bytes_ = 0;
  bool last_is_suppression_ = false;
  std::string suppressed_domain_;
  uint64_t duplicates_ = 0, suppressed_ = 0;
};

}  // namespace sluice::engine::intake
