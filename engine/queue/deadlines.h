#pragma once

#include <cstdint>

#include "engine/mailing.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// A turn, as queues know it.
struct Now {
  io::Instant instant{};
  io::WallTime wall{};
  uint64_t random = 0;  // 64 random bits: spread delays
};

inline io::Instant expires(const Mailing& mailing, uint32_t recipient,
                           const DestinationPolicy& policy, const Now& now) {
  return now.instant + (mailing.accepted_at(recipient) + mailing.lifetime(policy) - now.wall);
}

/// When the sender is to be told that the recipient still waits; `never` when nobody is.
inline io::Instant warns(const Mailing& mailing, uint32_t recipient,
                         const DestinationPolicy& policy, const Now& now) {
  const io::Duration warn = policy.expire.warn;
  if (warn <= io::Duration{} || mailing.message.notices != Notices::sender) return io::never;
  return now.instant + (mailing.accepted_at(recipient) + warn - now.wall);
}

}  // namespace sluice::engine::queue
