#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/flow.h"

namespace sluice::engine {

/// What the [sender] sections say of letters, by the domain of the envelope's sender in lower case,
/// which is "" of the null sender: its flow and its source. There is a flow for each domain that
/// has a section; all others share a fixed number by chance, so that a flood of one keeps few
/// others waiting, and what is kept of flows is bounded whatever clients say. Immutable.
class Senders {
 public:
  static constexpr uint16_t shared_flows = 64;  // of the domains that have no section

  explicit Senders(const std::vector<SenderPolicy>& policies);

  /// O(log sections), without allocation.
  Flow flow_of(std::string_view domain) const;
  /// "" where the destination's is to be taken. Likewise.
  const std::string& source_of(std::string_view domain) const;

 private:
  const SenderPolicy* find(std::string_view domain) const;

  std::map<std::string, SenderPolicy, std::less<>> policies_;
  SenderPolicy others_;
};

}  // namespace sluice::engine
