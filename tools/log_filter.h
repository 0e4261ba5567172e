#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/report/log_record.h"
#include "io/clock.h"

namespace sluice::tools {

/// What `sluice log` is asked for, as the command line has it.
struct LogQuestion {
  std::string recipient, id, campaign, destination, since, until;
  std::vector<std::string> events;
};

/// Which lines answer a question. may_match() looks at the octets alone and lets few others pass;
/// matches() decides.
class LogFilter {
 public:
  /// The error is one line for the operator. `now` is what `--since 2h` counts from.
  static std::expected<LogFilter, std::string> make(const LogQuestion& question, io::WallTime now);

  bool may_match(std::string_view line) const;
  bool matches(const engine::report::LogRecord& record) const;

  /// No line before this can match; "" when any can.
  const std::string& since() const { return since_; }

 private:
  bool is_of_destination(std::string_view recipient) const;

  std::string recipient_, id_, campaign_, destination_;
  std::string since_, until_;  // as lines have it
  std::vector<std::string> events_;
  std::vector<std::string> needles_;  // octets that each matching line holds
};

/// `2026-11-22`, `2026-11-22 05:27`, `2026-11-22T05:27:44.5Z`, `...+01:00` (UTC unless it says
/// otherwise), or an age such as `90s`, `2h`, `7d`. The result is as lines have it. nullopt when it
/// is none of these.
std::optional<std::string> log_time(std::string_view text, io::WallTime now);

}  // namespace sluice::tools
