#pragma once

#include <string>

#include "engine/report/time_text.h"
#include "engine/report/transaction_log.h"

namespace sluice::engine::report {

/// Serialises entries: docs/transaction-log.md says how a line looks. Allocates nothing but what
/// `out` grows by.
class LogLineWriter {
 public:
  /// Appends the entry as one line, '\n' included.
  void append(std::string& out, const LogEntry& entry);

 private:
  TimeText time_, next_attempt_, expires_;
};

}  // namespace sluice::engine::report
