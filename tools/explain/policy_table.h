#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/priority.h"

namespace sluice::tools {

/// One key of the policy for a domain: its value as a person writes it, and where it was set.
struct PolicyLine {
  std::string_view key;  // "timeout.connect"
  std::string value, place;
};

/// `sluice.toml:14`, `command line` or `built-in`.
std::string place_text(const engine::ConfigPlace& place);

/// The key that says how long mail of this priority may wait.
std::string_view expiry_key(engine::Priority priority);

/// Every key that decides about mail to `domain`, in the order of the reference; of campaigns of
/// `sender`, unless it is "".
std::vector<PolicyLine> policy_table(const engine::Config& config, std::string_view domain,
                                     std::string_view sender);

}  // namespace sluice::tools
