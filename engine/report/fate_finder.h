#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "engine/config.h"
#include "engine/queue/rule.h"
#include "io/proactor.h"

namespace sluice::engine::report {

/// What became of a recipient or a campaign, found as `sluice queue show` and `sluice log` find it:
/// in the spool while something waits, else in the transaction log, the latest file first. Reads
/// files only, beside an engine that may run.
class FateFinder {
 public:
  /// No further file of the log is begun after this.
  static constexpr std::chrono::seconds log_time_max{10};

  /// Both are borrowed.
  FateFinder(io::Proactor& proactor, const Config& config) : proactor_(proactor), config_(config) {}

  /// `id`: UID.NUMBER of a recipient, or UID or name of a campaign. One JSON object; nullopt:
  /// neither knows it, as far as the time allowed to look (`was_cut_short()`). The error is one
  /// line. O(unfinished campaigns + journal + log).
  std::expected<std::optional<std::string>, std::string> find(const std::string& id);
  bool was_cut_short() const { return was_cut_short_; }

 private:
  struct Seen;
  std::expected<std::optional<std::string>, std::string> of_recipient(
      const std::string& id, const queue::Rule::Stretch& stretch);
  std::expected<std::optional<std::string>, std::string> of_campaign(const std::string& id,
                                                                     uint64_t uid);
  std::optional<std::string> of_finished_campaign(const std::string& name);
  std::expected<void, std::string> read_log(const std::string& id, bool is_campaign, Seen& seen);

  io::Proactor& proactor_;
  const Config& config_;
  bool was_cut_short_ = false;
};

}  // namespace sluice::engine::report
