#include "engine/report/routes.h"

#include <algorithm>

#include "engine/config_section.h"

namespace sluice::engine::report {

const DestinationPolicy& Routes::policy(std::string_view domain, std::string_view next_hop) {
  matched_.first.clear();
  matched_.second = next_hop;
  for (const auto& section : config_.sections)
    if (section->weight(domain) != 0) matched_.first.push_back(section.get());
  const auto [it, is_new] = known_.try_emplace(matched_, nullptr);
  if (!is_new) return *it->second;
  DestinationPolicy wanted = config_.destination(domain);
  if (!next_hop.empty()) wanted.next_hops = {std::string(next_hop)};
  const auto same = std::ranges::find(policies_, wanted);
  it->second = same != policies_.end() ? &*same : &policies_.emplace_back(std::move(wanted));
  return *it->second;
}

Routes::Key Routes::key(std::string_view domain, std::string_view next_hop) {
  const DestinationPolicy& policy = this->policy(domain, next_hop);
  return {&policy, policy.next_hops.empty() ? domain : std::string_view()};
}

}  // namespace sluice::engine::report
