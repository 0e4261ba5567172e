#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <utility>

#include "engine/queue/priority_turns.h"
#include "engine/queue/source.h"

namespace sluice::engine::queue {

/// Whose turn it is among the sources of a queue: first by priority, then each by the weight of its
/// flow (PriorityTurns says how). The letters of one flow are in sources of several segments, which
/// share what is due to it. Recipients that come back, whose time has come again, take turns with
/// them: those of one priority as a flow of weight 1. O(log sources) each.
class SourceTurns {
 public:
  using Place = std::list<Source>::iterator;

  void add(Place source);
  void remove(const Source& source);
  bool has(Priority priority) const { return !line(priority).sources.empty(); }

  /// Is it the turn of those that come back, of whom there are some, and not of next()?
  bool is_turn_of_returned(Priority priority) const;
  /// The source whose turn it is; there is one.
  Place next(Priority priority) const { return line(priority).sources.begin()->second; }
  /// So many recipients of it were taken; before it is removed.
  void charge(const Source& source, uint64_t recipients);
  void charge_returned(Priority priority, uint64_t recipients);

 private:
  struct Letters {
    uint64_t pass = 0;     // of the last that had its turn
    uint32_t sources = 0;  // at least 1
  };
  struct Line {
    std::map<std::pair<uint64_t, uint64_t>, Place> sources;  // by pass, and when they were added
    std::map<uint16_t, Letters> letters;                     // by the number of the flow
    uint64_t returned = 0;                                   // the pass of those that come back
    uint64_t now = 0;                                        // the pass of the last turn
  };
  Line& line(Priority priority) { return lines_[PriorityTurns::index(priority)]; }
  const Line& line(Priority priority) const { return lines_[PriorityTurns::index(priority)]; }

  std::array<Line, priority_count> lines_;
  uint64_t added_ = 0;
};

}  // namespace sluice::engine::queue
