#pragma once

#include <cstdint>
#include <span>

#include "engine/config.h"
#include "engine/dns/host_list.h"

namespace sluice::engine {

/// Which address of its source each session is bound to. Among those of the family that is wanted
/// the sessions in a row have the share of the weights, not only in the long run, wherever they
/// begin: those of many small destinations do, too.
class SourceChoice {
 public:
  /// `addresses` outlive it; `random`: where it begins.
  SourceChoice(std::span<const SourceAddress> addresses, uint64_t random)
      : addresses_(addresses), turn_(random) {}

  /// nullptr: there is none of this family.
  const SourceAddress* next(int family);
  /// The one of its family behind it, in a circle: itself where it is alone.
  const SourceAddress& other(const SourceAddress& than) const;

 private:
  std::span<const SourceAddress> addresses_;
  uint64_t turn_;
};

/// Without the hosts of families of which there is no address; the list as it is where all may be
/// used, or none of `addresses` is configured. If no host is left the failure is transient 4.3.5:
/// the operator's to mend.
dns::HostListPtr reachable_from(std::span<const SourceAddress> addresses, dns::HostListPtr list);

}  // namespace sluice::engine
