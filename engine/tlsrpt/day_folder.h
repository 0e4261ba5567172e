#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/tlsrpt/day_count.h"

namespace sluice::engine::tlsrpt {

/// Counts on the disk: SPOOL/tlsrpt/, a file for each day (spool/FORMAT.md section 10). One that
/// owns the spool writes; anybody may read. Blocking.
class DayFolder {
 public:
  static constexpr size_t file_octets_max = 64 * 1024 * 1024;

  explicit DayFolder(const std::string& spool) : path_(spool + "/tlsrpt") {}

  struct Loaded {
    std::map<Day, DayCount> days;
    std::vector<std::string> damaged;  // paths; each was put aside as PATH.damaged
  };
  Loaded load() const;
  /// Null: there is none that can be read.
  std::optional<DayCount> read(Day day) const;
  /// Whole or not at all, whatever breaks when; without counts the file goes. False: the disk
  /// refuses.
  bool write(Day day, const DayCount& count) const;
  /// The days as a JSON array, the oldest first: {"date":"2026-11-23","domains":{...}}.
  std::string json() const;

 private:
  std::string path(Day day) const;
  std::map<Day, std::string> files() const;

  const std::string path_;
};

}  // namespace sluice::engine::tlsrpt
