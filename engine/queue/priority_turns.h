#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "engine/priority.h"

namespace sluice::engine::queue {

/// Whose turn it is among the priorities that have mail: each gets its weight's share of the
/// recipients (urgent 16, normal 4, non-urgent 1), so that none starves, and one that had none for
/// a while comes first. Weighted fair queueing by virtual time: a pass that grows by what was
/// taken, divided by the weight; the smallest is next.
class PriorityTurns {
 public:
  using Which = std::array<bool, priority_count>;  // by Priority
  /// Most urgent first.
  static constexpr std::array order = {Priority::urgent, Priority::normal, Priority::non_urgent};

  /// nullopt when none has.
  std::optional<Priority> next(const Which& has) {
    std::optional<Priority> first;
    for (const Priority priority : order) {
      if (!has[index(priority)]) continue;
      uint64_t& pass = passes_[index(priority)];
      pass = std::max(pass, now_);
      if (!first || pass < passes_[index(*first)]) first = priority;
    }
    if (first) now_ = passes_[index(*first)];
    return first;
  }
  void charge(Priority priority, uint64_t recipients) {
    constexpr std::array<uint64_t, priority_count> strides = {4, 1, 16};
    passes_[index(priority)] += recipients * strides[index(priority)];
  }

  static constexpr size_t index(Priority priority) { return static_cast<size_t>(priority); }

 private:
  std::array<uint64_t, priority_count> passes_{};
  uint64_t now_ = 0;
};

}  // namespace sluice::engine::queue
