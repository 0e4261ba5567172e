#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::engine::report {

/// A line of the transaction log, read. Absent keys are empty or 0. Texts are as the peer sent
/// them: not for a terminal as they are.
struct LogRecord {
  std::string time, event, id, campaign, sender, recipient, original_recipient, message_id, phase,
      host, remote, local, tls, enhanced, text, reason, next_attempt, expires;
  uint64_t bytes = 0, recipients = 0, attempt = 0, code = 0;
};

/// Reads lines; keeps its memory from one to the next.
class LogRecordReader {
 public:
  LogRecordReader();
  ~LogRecordReader();

  /// False when `line` is no record of ours: JSON is broken, or has no `time` and `event`.
  bool read(std::string_view line, LogRecord& record);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace sluice::engine::report
