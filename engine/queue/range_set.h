#pragma once

#include <cstdint>
#include <vector>

#include "engine/message.h"

namespace sluice::engine::queue {

// Sets of a campaign's recipients, as ascending ranges that do not overlap. O(ranges) each.

std::vector<Range> united(const std::vector<Range>& a, const std::vector<Range>& b);
std::vector<Range> without(const std::vector<Range>& a, const std::vector<Range>& b);
std::vector<Range> common(const std::vector<Range>& a, const std::vector<Range>& b);
uint64_t count_of(const std::vector<Range>& ranges);
/// O(log ranges).
bool contains(const std::vector<Range>& ranges, uint32_t number);

}  // namespace sluice::engine::queue
