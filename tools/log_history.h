#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/report/log_record.h"

namespace sluice::tools {

/// Gathers records and prints, for each recipient, its attempts in order: what failed, where, from
/// which address, what changed, and when the next try is.
///
/// When a destination refuses connections the log tells of it with some of the recipients that
/// wait; it was an attempt for all of them. A recipient whose numbers of attempts leave a gap is
/// shown those, as attempts with others.
class LogHistory {
 public:
  /// A destination's failed connections that are kept at most.
  static constexpr size_t setbacks_max = 100'000;

  void add(const engine::report::LogRecord& record);
  /// Is it one that tells of a failed connection: of anybody?
  static bool is_setback(const engine::report::LogRecord& record);
  void add_setback(const engine::report::LogRecord& record);

  /// Recipients in the order in which they first appeared. Safe for a terminal. `asked`: the one
  /// address that was asked for, "" for none: it is told of its destination when the log has
  /// nothing of its own.
  std::string text(const std::string& asked = "") const;

 private:
  struct Recipient {
    std::string address, id, campaign, message_id;
    std::vector<engine::report::LogRecord> records;
  };
  /// One failed connection, and the domains of those it was told with.
  struct Setback {
    engine::report::LogRecord record;
    std::set<std::string, std::less<>> domains;
  };
  struct Row {
    const engine::report::LogRecord* record;
    uint64_t attempt = 0;
    bool is_with_others = false;
  };

  std::vector<Row> rows(const std::vector<engine::report::LogRecord>& records,
                        std::string_view domain) const;
  std::vector<const engine::report::LogRecord*> setbacks(const std::string& after,
                                                         const std::string& before,
                                                         std::string_view domain,
                                                         const std::set<std::string>& hosts) const;
  std::string text(const Recipient& recipient) const;
  std::string text_of_destination(const std::string& address) const;

  std::vector<Recipient> recipients_;
  std::unordered_map<std::string, size_t> by_id_;
  std::unordered_map<std::string, engine::report::LogRecord> accepted_;  // of whole campaigns
  std::vector<Setback> setbacks_;                                        // as they came
  bool is_full_ = false;
};

}  // namespace sluice::tools
