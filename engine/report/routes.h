#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config.h"
#include "engine/mailing.h"

namespace sluice::engine::report {

/// The policies that mail goes by, each one kept once; quick to ask for a million domains.
class Routes {
 public:
  explicit Routes(const Config& config) : config_(config) {}

  /// For those of `mailing` who are in `group`. Lives as long as this.
  const DestinationPolicy& policy(const Mailing& mailing, const spool::Group& group);

  /// Mail of one route waits together: the policy, and the domain unless all of the policy goes to
  /// the same next hops.
  using Key = std::pair<const DestinationPolicy*, std::string_view>;
  Key key(const Mailing& mailing, const spool::Group& group);

 private:
  struct Matched {
    std::vector<const Config::Section*> sections;
    std::string next_hop, source;
    friend auto operator<=>(const Matched&, const Matched&) = default;
  };

  const Config& config_;
  std::deque<DestinationPolicy> policies_;
  std::map<Matched, const DestinationPolicy*> known_;
  Matched matched_;
};

}  // namespace sluice::engine::report
