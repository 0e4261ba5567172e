#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tools {

/// What an engine's /metrics said at a moment.
struct Sample {
  std::chrono::steady_clock::time_point at{};
  std::map<std::string, double, std::less<>> values;  // by name and labels, as they are written

  /// Lines that are none are passed over.
  static Sample parse(std::string_view text);
  /// 0 when it was not told.
  double value(std::string_view name) const;
};

/// A row of the engine's /v1/queue.
struct DestinationRow {
  std::string name, next_attempt;  // "" for none
  uint64_t waiting = 0, deferred = 0, held = 0;

  /// Nothing when it is none.
  static std::vector<DestinationRow> parse(std::string_view json);
};

/// What went on between two samples.
struct Activity {
  struct Row {
    std::string_view name;
    double per_s = 0;
    uint64_t total = 0;
  };
  struct Phase {
    std::string name;
    double sessions = 0;  // that waited in it, on average: the seconds waited in a second
    double per_s = 0;     // waits that ended
    double mean_ms = 0;   // of these
  };
  struct Reason {
    std::string name;  // "rcpt 450", "connect, no reply"
    double per_s = 0;
    uint64_t total = 0;
  };
  std::vector<Row> rates;
  std::vector<Reason> reasons;  // of deferrals, most first
  std::vector<Phase> phases;    // in which somebody waited, most first
  uint64_t waiting = 0, deferred = 0, held = 0, sessions = 0, campaigns = 0;
  uint64_t spool_bytes = 0, memory_bytes = 0;
  bool is_ready = false;

  static Activity between(const Sample& before, const Sample& now);
};

}  // namespace sluice::tools
