#pragma once

#include <memory>
#include <string>

#include "engine/sts/finding.h"

namespace sluice::engine::sts {

/// What a domain's policy demands of a host, or why there is none that could.
struct Demand {
  std::string domain;
  Finding finding;          // with a policy of mode testing or enforce, or a fault
  bool names_host = false;  // the policy has it among its MXes; always, where it is enforced

  bool is_enforced() const {
    return finding.policy && finding.policy->mode == Policy::Mode::enforce;
  }
};
using DemandPtr = std::shared_ptr<const Demand>;

}  // namespace sluice::engine::sts
