#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/report/spool_view.h"

namespace sluice::engine::report {

/// Recipients that wait, of one destination or campaign, or of all.
struct QueueCount {
  std::string_view name;
  uint64_t waiting = 0, deferred = 0, held = 0, in_doubt = 0, cancelled = 0;
  // max(): none
  io::WallTime oldest = io::WallTime::max(), next_attempt = io::WallTime::max(),
               expires = io::WallTime::max();

  uint64_t all() const { return waiting + deferred + held + in_doubt; }
  void take(const Waiting& recipient, io::WallTime now);
  void take(const QueueCount& other);
};

/// What waits in a spool, counted.
struct QueueSummary {
  enum class By : uint8_t { destination, campaign };
  /// Which recipients of a campaign are counted.
  using Choice = std::function<std::vector<Range>(const WaitingMail& mail)>;

  By by = By::destination;
  std::vector<QueueCount> rows;  // those with most first; names are views into what was counted
  QueueCount total;

  /// O(recipients that were tried and wait, and words of the bitmaps of all).
  static QueueSummary of(const SpoolView& view, By by, const Choice& choice);

  /// One object: spool, engine, total, the first `rows_max` rows and how many more there are.
  std::string json(const SpoolView& view, size_t rows_max) const;
};

}  // namespace sluice::engine::report
