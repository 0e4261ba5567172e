#include "engine/queue/range_set.h"

#include <algorithm>

namespace sluice::engine::queue {

bool contains(const std::vector<Range>& ranges, uint32_t number) {
  const auto after = std::ranges::upper_bound(ranges, number, {}, &Range::first);
  return after != ranges.begin() && number - std::prev(after)->first < std::prev(after)->count;
}

}  // namespace sluice::engine::queue
