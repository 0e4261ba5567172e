#include "engine/queue/range_set.h"

#include <algorithm>
#include <numeric>

namespace sluice::engine::queue {

namespace {

uint64_t end_of(const Range& range) { return uint64_t{range.first} + range.count; }

/// The stretches where `wanted(is in a, is in b)`.
std::vector<Range> combined(const std::vector<Range>& a, const std::vector<Range>& b,
                            bool (*wanted)(bool in_a, bool in_b)) {
  std::vector<uint64_t> borders;
  for (const auto* set : {&a, &b})
    for (const Range& range : *set) borders.insert(borders.end(), {range.first, end_of(range)});
  std::ranges::sort(borders);
  std::vector<Range> out;
  size_t in_a = 0, in_b = 0;
  for (size_t i = 0; i + 1 < borders.size(); ++i) {
    const uint64_t first = borders[i], end = borders[i + 1];
    if (first == end) continue;
    while (in_a < a.size() && end_of(a[in_a]) <= first) ++in_a;
    while (in_b < b.size() && end_of(b[in_b]) <= first) ++in_b;
    if (!wanted(in_a < a.size() && a[in_a].first <= first,
                in_b < b.size() && b[in_b].first <= first))
      continue;
    const Range range{static_cast<uint32_t>(first), static_cast<uint32_t>(end - first)};
    if (!out.empty() && end_of(out.back()) == first)
      out.back().count += range.count;
    else
      out.push_back(range);
  }
  return out;
}

}  // namespace

std::vector<Range> united(const std::vector<Range>& a, const std::vector<Range>& b) {
  return combined(a, b, [](bool in_a, bool in_b) { return in_a || in_b; });
}

std::vector<Range> without(const std::vector<Range>& a, const std::vector<Range>& b) {
  return combined(a, b, [](bool in_a, bool in_b) { return in_a && !in_b; });
}

std::vector<Range> common(const std::vector<Range>& a, const std::vector<Range>& b) {
  return combined(a, b, [](bool in_a, bool in_b) { return in_a && in_b; });
}

uint64_t count_of(const std::vector<Range>& ranges) {
  return std::accumulate(ranges.begin(), ranges.end(), uint64_t{0},
                         [](uint64_t sum, const Range& range) { return sum + range.count; });
}

bool contains(const std::vector<Range>& ranges, uint32_t number) {
  const auto after = std::ranges::upper_bound(ranges, number, {}, &Range::first);
  return after != ranges.begin() && number - std::prev(after)->first < std::prev(after)->count;
}

}  // namespace sluice::engine::queue
