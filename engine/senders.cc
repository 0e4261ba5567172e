#include "engine/senders.h"

#include <functional>

namespace sluice::engine {

Senders::Senders(const std::vector<SenderPolicy>& policies) {
  for (const SenderPolicy& policy : policies)
    if (policy.pattern == "*")
      others_ = policy;
    else
      policies_.emplace(policy.pattern.substr(policy.pattern.find('@') + 1), policy);
}

const SenderPolicy* Senders::find(std::string_view domain) const {
  const auto named = policies_.find(domain);
  return named == policies_.end() ? nullptr : &named->second;
}

Flow Senders::flow_of(std::string_view domain) const {
  constexpr size_t own = UINT16_MAX - shared_flows;  // numbers for those that have a section
  const size_t hash = std::hash<std::string_view>()(domain);
  const SenderPolicy* const named = find(domain);
  if (!named)
    return {.number = static_cast<uint16_t>(1 + hash % shared_flows),
            .weight = static_cast<uint16_t>(others_.weight)};
  return {.number = static_cast<uint16_t>(1 + shared_flows + hash % own),
          .weight = static_cast<uint16_t>(named->weight)};
}

const std::string& Senders::source_of(std::string_view domain) const {
  const SenderPolicy* const named = find(domain);
  return (named ? *named : others_).source;
}

}  // namespace sluice::engine
