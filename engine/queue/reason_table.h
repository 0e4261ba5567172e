#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/mailing.h"

namespace sluice::engine::queue {

/// Why recipients of a queue wait: each answer once, however many wait for it. Answers that say the
/// same (stage, code, text, reason, host) are one; how long the phases took is not kept.
///
/// Bounded: beyond `whole_max` different answers (a peer that names each recipient in its reply)
/// what is kept of a new one is stage, code and enhanced code, and beyond as many of these the
/// stage. Nobody is shown an answer that another one got.
class ReasonTable {
 public:
  using Index = uint16_t;
  static constexpr Index none = 0;
  static constexpr size_t whole_max = 1000;
  static constexpr Index index_max = 2 * whole_max + smtp::stage_count;

  /// Counts one that waits for it; `none` for null. O(its length).
  Index take(const SetbackPtr& why);
  void drop(Index reason);
  /// Null for `none`.
  const SetbackPtr& at(Index reason) const { return entries_[reason].why; }

 private:
  struct Entry {
    SetbackPtr why;
    uint64_t waiting = 0;
  };
  Index find_or_add(const Setback& why, size_t full);

  std::vector<Entry> entries_ = std::vector<Entry>(1);
  std::vector<Index> free_;
  std::unordered_multimap<size_t, Index> by_hash_;
};

}  // namespace sluice::engine::queue
