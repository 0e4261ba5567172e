#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/message.h"

namespace sluice::engine::queue {

/// Where recipients go since the configuration was read anew: of every mailing of which some go
/// elsewhere than before. Immutable; shared by all shards until the next reload.
struct Routing {
  struct Span {
    Range range;
    const Route* route;
    friend bool operator==(const Span&, const Span&) = default;
  };
  struct Of {
    std::vector<Span> spans;  // ascending
    Orders orders;
  };
  std::unordered_map<uint64_t, Of> mailings;  // by uid

  /// Null: nothing changed for it.
  const Of* find(const Mailing& mailing) const;
  /// Null: it stays where it is, also when it came later. O(log spans).
  const Route* route_of(const Mailing& mailing, uint32_t recipient) const;
};

}  // namespace sluice::engine::queue
