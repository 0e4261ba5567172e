#pragma once

#include <string>

#include "engine/dns/host_list.h"
#include "engine/sts/finding.h"
#include "io/clock.h"

namespace sluice::engine::sts {

/// `list`, the hosts of `domain`, with what the domain's policy demands of each. One that is
/// enforced leaves those out that it does not name (RFC 8461 section 5). A host with usable TLSA
/// records goes by these alone: DANE wins. Pure.
dns::HostListPtr bound_hosts(const dns::HostListPtr& list, const std::string& domain,
                             const Finding& finding, io::Instant now);

}  // namespace sluice::engine::sts
