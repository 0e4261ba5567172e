#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "tools/log_record.h"

namespace sluice::tools {

/// Columns that people's output fits into.
inline constexpr size_t log_columns = 100;

/// The head of the table and its rows, one a record; times are UTC. Safe for a terminal.
std::string log_table_head();
std::string log_table_row(const LogRecord& record);

/// What an attempt came to in one line: the reply with its codes, or our words where there was
/// none.
std::string log_outcome(const LogRecord& record);

/// Gathers records and prints, for each recipient, its attempts in order: what failed, where, and
/// when the next try is.
class LogHistory {
 public:
  void add(const LogRecord& record);
  /// Recipients in the order in which they first appeared. Safe for a terminal.
  std::string text() const;

 private:
  struct Recipient {
    std::string address, id, campaign, message_id;
    std::vector<LogRecord> records;
  };
  std::string text(const Recipient& recipient) const;

  std::vector<Recipient> recipients_;
  std::unordered_map<std::string, size_t> by_id_;
  std::unordered_map<std::string, LogRecord> accepted_;  // of whole campaigns
};

}  // namespace sluice::tools
