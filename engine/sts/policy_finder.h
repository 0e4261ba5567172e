#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "engine/dns/host_finder.h"
#include "engine/sts/policy_keeper.h"

namespace sluice::engine::sts {

/// A shard's way to the policies of domains: asks DNS what the domain says (RFC 8461 section 3.1),
/// and the keeper what that comes to.
class PolicyFinder {
 public:
  using Callback = std::function<void(Finding&&)>;

  /// `keeper` null: no domain has a policy.
  PolicyFinder(unsigned shard, dns::HostFinder& finder, PolicyKeeper* keeper);
  PolicyFinder(const PolicyFinder&) = delete;
  PolicyFinder& operator=(const PolicyFinder&) = delete;

  /// Calls `found` once, as long as this lives; perhaps from within. `authorities`: a PEM file, for
  /// the server that the policy comes from.
  void find(const std::string& domain, const std::string& authorities, Callback found);
  /// Hears what the keeper says: once a turn.
  void turn_ended();

 private:
  void ask(Question&& question, Callback found);

  const unsigned shard_;
  dns::HostFinder& finder_;
  PolicyKeeper* const keeper_;
  uint64_t numbers_ = 0;
  std::map<uint64_t, Callback> asking_;
  std::deque<Question> waiting_;  // until the keeper takes more
};

}  // namespace sluice::engine::sts
