#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/proactor.h"
#include "spool/error.h"

namespace sluice::spool {

/// A file of rules/ (FORMAT.md section 6): an operator's word on mail that waits. Opaque here.
struct RuleFile {
  std::string name;
  std::string text;
};

inline constexpr std::string_view rules_folder = "rules";
/// No rule is longer, so that a reader's memory is bounded.
inline constexpr size_t rule_bytes_max = 1024 * 1024;
/// What a rule is written to until it is handed over; swept when its lock is free.
inline constexpr std::string_view rule_prefix = ".rule-";

/// Twenty decimal digits of nanoseconds since 1970, '-', and sixteen hexadecimal ones.
bool is_rule_name(std::string_view name);

/// Writes a rule to `spool`, which is there, and hands it over by a rename: on return it is
/// durable, and an engine sees it. Its name, which is the result, sorts behind those of all rules
/// there, even when the clock was set back. Blocking; for a process that owns no spool lock.
std::expected<std::string, Error> hand_off_rule(io::Proactor& proactor, const std::string& spool,
                                                std::string_view text);

struct RuleFiles {
  std::vector<RuleFile> files;    // in the order of their names, in which they count
  std::vector<Error> unreadable;  // files that are left alone
};
/// All rules of `spool`; none when it has no folder for them. Blocking.
std::expected<RuleFiles, Error> read_rules(io::Proactor& proactor, const std::string& spool);

/// Reads one without blocking: the callback comes from a later turn of `proactor`. `missing` when
/// it has gone.
using RuleCallback = std::function<void(std::expected<RuleFile, Error>)>;
void read_rule(io::Proactor& proactor, const std::string& path, RuleCallback callback);

}  // namespace sluice::spool
