#include "engine/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sluice::engine {

namespace {

/// Optimal string alignment distance: Levenshtein's with the swap of two neighbours as one step.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t exchange = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, exchange});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view wanted, std::span<const std::string_view> known) {
  constexpr size_t name_bytes_max = 64;  // bounds the work; no name of ours is longer
  if (wanted.size() > name_bytes_max) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, wanted.size() / 3) + 1;
  for (const std::string_view name : known) {
    const size_t d = distance(wanted, name);
    if (d < best_distance && d < name.size()) best = name, best_distance = d;
  }
  return best;
}

}  // namespace sluice::engine
