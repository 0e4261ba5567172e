#pragma once

#include <cstdint>
#include <vector>

#include "engine/message.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// What a route's home knows of the route's hosts: those that DNS named last, and which of them
/// failed lately. A host that failed while another took the mail is tried last for `suspicion`;
/// then one session, not all, goes to see whether it is back.
class HostBoard {
 public:
  explicit HostBoard(io::Duration suspicion) : suspicion_(suspicion) {}

  /// What failed and is still in the list stays suspect.
  void set(dns::HostListPtr list);
  const dns::HostListPtr& list() const { return list_; }
  bool has_hosts() const { return list_ && !list_->hosts.empty(); }

  /// True when plan() changed by it.
  bool note(const HostNews& news, io::Instant now);

  /// The plan for all sessions.
  HostPlan plan() const { return {list_, suspects_, {}}; }
  /// A host whose suspicion is over, for one session to begin with; until it reports, or another
  /// `suspicion` has passed, nobody else does.
  std::optional<uint16_t> take_probe(io::Instant now);

 private:
  void publish();

  const io::Duration suspicion_;
  dns::HostListPtr list_;
  std::vector<io::Instant> probe_at_;  // by index; the epoch: not suspect
  std::shared_ptr<const std::vector<bool>> suspects_;
};

}  // namespace sluice::engine::queue
