#pragma once

#include <vector>

#include "engine/report/counters.h"
#include "engine/tlsrpt/outcome.h"
#include "io/event_loop.h"

namespace sluice::engine::tlsrpt {

class Reporter;

/// A shard's way to the reporter: keeps what TLS came to for a second, or until there is enough of
/// it. Never waits: what the reporter has no room for is lost, and counted.
class Notebook {
 public:
  static constexpr size_t batch_max = 256;
  static constexpr io::Duration gather_time = std::chrono::seconds(1);

  /// `reporter` null: nothing is written.
  Notebook(io::EventLoop& loop, unsigned shard, Reporter* reporter, report::Counter& lost);

  /// O(1); some 100 ns. Outcomes without a domain are nobody's.
  void note(const TlsOutcome& outcome);
  /// What there is goes now.
  void hand_over();

 private:
  io::EventLoop& loop_;
  const unsigned shard_;
  Reporter* const reporter_;
  report::Counter& lost_;
  std::vector<Outcome> batch_;
  io::Timer timer_;
};

}  // namespace sluice::engine::tlsrpt
