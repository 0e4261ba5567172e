#pragma once

#include <cstdint>
#include <vector>

#include "engine/config.h"
#include "engine/priority.h"
#include "io/clock.h"

namespace sluice::tools {

/// What happens to a message that nobody ever takes.
struct TimelineEvent {
  enum class Kind : uint8_t {
    attempt,    // no connection
    notice,     // of delay
    exhausted,  // given up after so many attempts
    expired,
    cut,  // more attempts follow, up to the next event, than are worth listing
  };
  Kind kind = Kind::attempt;
  io::WallTime at{};
  io::Duration spread{};  // plus or minus: the jitter of all delays before it
  io::Duration delay{};   // attempt: since the one before
  uint32_t attempt = 0;
};

inline constexpr uint32_t timeline_attempts_max = 10'000;

io::Duration lifetime(const engine::DestinationPolicy& policy, engine::Priority priority);

/// Attempts whose connections all fail at once, as queue::HomeQueue spaces them, in order of time,
/// until the message is given up: its last event.
std::vector<TimelineEvent> timeline(const engine::DestinationPolicy& policy,
                                    engine::Priority priority, io::WallTime accepted_at);

}  // namespace sluice::tools
