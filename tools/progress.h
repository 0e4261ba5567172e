#pragma once

#include <cstdio>
#include <string>

#include "engine/coordinator.h"
#include "io/clock.h"

namespace sluice::tools {

/// `10 recipients are held: sluice queue release --spool spool lets them go`: one line.
std::string held_text(uint64_t held, const std::string& spool);

/// How far a delivery is, on stderr: one line drawn anew on a terminal (five times a second), a
/// plain line every 10 s elsewhere.
class Progress {
 public:
  explicit Progress(bool quiet);

  /// How often update() wants to be called.
  io::Duration interval() const;
  void update(const engine::Totals& totals, io::Instant now);
  /// Wipes the line, so that something else can be printed; the next update() draws it again.
  void clear();

 private:
  std::string line(const engine::Totals& totals, io::Instant now);

  const bool quiet_, terminal_;
  bool drawn_ = false;
  io::Instant last_{};
  uint64_t last_fates_ = 0;
  double rate_per_s_ = 0;
};

/// `1,234,567`.
std::string grouped(uint64_t number);
/// `12.3 MB`.
std::string bytes_text(uint64_t bytes);

}  // namespace sluice::tools
