#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config.h"

namespace sluice::engine::report {

/// The policies that mail goes by, each one kept once; quick to ask for a million domains.
class Routes {
 public:
  explicit Routes(const Config& config) : config_(config) {}

  /// For mail to `domain` of a campaign with this `--next-hop` ("" for none). Lives as long as
  /// this.
  const DestinationPolicy& policy(std::string_view domain, std::string_view next_hop);

  /// Mail of one route waits together: the policy, and the domain unless all of the policy goes to
  /// the same next hops.
  using Key = std::pair<const DestinationPolicy*, std::string_view>;
  Key key(std::string_view domain, std::string_view next_hop);

 private:
  using Matched = std::pair<std::vector<const Config::Section*>, std::string>;

  const Config& config_;
  std::deque<DestinationPolicy> policies_;
  std::map<Matched, const DestinationPolicy*> known_;
  Matched matched_;
};

}  // namespace sluice::engine::report
