#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config.h"

namespace sluice::tools {

/// The policies that mail goes by, each one kept once; quick to ask for a million domains.
class Routes {
 public:
  explicit Routes(const engine::Config& config) : config_(config) {}

  /// For mail to `domain` of a campaign with this `--next-hop` ("" for none). Lives as long as
  /// this.
  const engine::DestinationPolicy& policy(std::string_view domain, std::string_view next_hop);

  /// Mail of one route waits together: the policy, and the domain unless all of the policy goes to
  /// the same next hops.
  using Key = std::pair<const engine::DestinationPolicy*, std::string_view>;
  Key key(std::string_view domain, std::string_view next_hop);

 private:
  using Matched = std::pair<std::vector<const engine::Config::Section*>, std::string>;

  const engine::Config& config_;
  std::deque<engine::DestinationPolicy> policies_;
  std::map<Matched, const engine::DestinationPolicy*> known_;
  Matched matched_;
};

}  // namespace sluice::tools
