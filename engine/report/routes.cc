#include "engine/report/routes.h"

#include <algorithm>

#include "engine/config_section.h"

namespace sluice::engine::report {

const DestinationPolicy& Routes::policy(const Mailing& mailing, const spool::Group& group) {
  matched_.sections.clear();
  matched_.next_hop = mailing.message.next_hop;
  matched_.source = mailing.source_of(group, config_);
  for (const auto& section : config_.sections)
    if (section->weight(group.name) != 0) matched_.sections.push_back(section.get());
  const auto [it, is_new] = known_.try_emplace(matched_, nullptr);
  if (!is_new) return *it->second;
  DestinationPolicy wanted = config_.destination(group.name, matched_.next_hop, matched_.source);
  const auto same = std::ranges::find(policies_, wanted);
  it->second = same != policies_.end() ? &*same : &policies_.emplace_back(std::move(wanted));
  return *it->second;
}

Routes::Key Routes::key(const Mailing& mailing, const spool::Group& group) {
  const DestinationPolicy& policy = this->policy(mailing, group);
  return {&policy, policy.next_hops.empty() ? group.name : std::string_view()};
}

}  // namespace sluice::engine::report
