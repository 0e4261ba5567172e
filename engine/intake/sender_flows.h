#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/config.h"
#include "engine/flow.h"

namespace sluice::engine::intake {

/// The flow of each sender's letters, by the domain: one for each domain that a [sender] names; all
/// others share a fixed number of flows by chance, so that a flood of one keeps few others waiting,
/// and what is kept of flows is bounded whatever clients say. Immutable.
class SenderFlows {
 public:
  static constexpr uint16_t shared = 64;  // flows of the domains that no [sender] names

  explicit SenderFlows(const std::vector<SenderPolicy>& senders);

  /// `sender`: an envelope sender; "" is the null sender. O(1), without allocation.
  Flow of(std::string_view sender) const;

 private:
  std::unordered_map<size_t, uint16_t> weights_;  // by the hash of the domain
  uint16_t others_ = 1;                           // the weight of the shared ones
};

}  // namespace sluice::engine::intake
