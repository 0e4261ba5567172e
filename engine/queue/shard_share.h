#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/message.h"
#include "engine/queue/priority_turns.h"

namespace sluice::engine::queue {

/// What a shard has of a queue, as the queue's home knows.
struct ShardShare {
  uint32_t sessions = 0;  // as permitted last
  const void* list = nullptr;
  const void* suspects = nullptr;
  uint32_t hungry = 0;  // batches it asked for
  uint32_t open = 0;    // sessions
  uint32_t grants = 0;  // of which something may be left: they would come back to this queue
  std::array<uint32_t, priority_count> loads{};  // grants of each priority that it may hold
  bool awaits_permit = false;

  void note(const SessionNews& news) {
    open = news.open_now;
    grants -= news.grants_ended;
    for (size_t i = 0; i < priority_count; ++i) loads[i] -= news.loads_ended[i];
    awaits_permit |= news.refused > 0;
  }
  /// False: it knows that already.
  bool permit(uint32_t number, const HostPlan& plan) {
    const bool is_same_plan = list == plan.list.get() && suspects == plan.suspects.get();
    if (number == sessions && !awaits_permit && (number == 0 || is_same_plan)) return false;
    sessions = number;
    awaits_permit = false;
    list = plan.list.get(), suspects = plan.suspects.get();
    return true;
  }
  bool holds_less_urgent(Priority priority) const {
    const auto* const at = std::ranges::find(PriorityTurns::order, priority);
    return std::any_of(at + 1, PriorityTurns::order.end(),
                       [this](Priority less) { return loads[PriorityTurns::index(less)] > 0; });
  }
};

}  // namespace sluice::engine::queue
