#pragma once

#include <span>
#include <string_view>

namespace sluice::engine {

/// The one of `known` that a person who typed `wanted` most likely meant: at most a third of its
/// letters inserted, left out, exchanged or swapped with the next one. "" when none is near.
/// O(names * length^2).
std::string_view nearest_name(std::string_view wanted, std::span<const std::string_view> known);

}  // namespace sluice::engine
