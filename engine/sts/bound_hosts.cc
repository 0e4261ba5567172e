#include "engine/sts/bound_hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sluice::engine::sts {
namespace {

/// What a fault kept from us may be there soon.
constexpr io::Duration fault_for = std::chrono::minutes(1);

DemandPtr demand_of(const std::string& domain, const Finding& finding, bool names_host) {
  return std::make_shared<const Demand>(Demand{domain, finding, names_host});
}

}  // namespace

dns::HostListPtr bound_hosts(const dns::HostListPtr& list, const std::string& domain,
                             const Finding& finding, io::Instant now) {
  const bool has_demand = finding.policy && finding.policy->mode != Policy::Mode::none;
  if (!has_demand && finding.fault == Fault::none) return list;
  const DemandPtr of_named = demand_of(domain, finding, true);
  const DemandPtr of_others = demand_of(domain, finding, false);
  auto bound = std::make_shared<dns::HostList>(*list);
  if (finding.fault != Fault::none) bound->good_until = std::min(list->good_until, now + fault_for);
  bound->hosts.clear();
  for (dns::Host host : list->hosts) {
    const bool is_named = has_demand && finding.policy->names(host.name);
    if (!(host.dane && host.dane->is_usable())) host.sts = is_named ? of_named : of_others;
    if (!host.sts || is_named || !host.sts->is_enforced())
      bound->hosts.push_back(std::move(host));
    else if (bound->unsafe.empty() || bound->unsafe.back().name != host.name)
      bound->unsafe.push_back(
          {host.name, fmt::format("the MTA-STS policy of {} does not name this MX", domain)});
  }
  if (bound->hosts.empty() && !list->hosts.empty())
    bound->failure = dns::Failure{
        smtp::Result::transient,
        {4, 7, 0},
        fmt::format("sts: {}: {}", bound->unsafe.back().name, bound->unsafe.back().reason)};
  return bound;
}

}  // namespace sluice::engine::sts
