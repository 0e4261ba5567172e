#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/clock.h"

namespace sluice::engine {

/// What a key's value must look like, and in which alternative of ConfigValue it is kept.
enum class ConfigType : uint8_t {
  text,       // std::string, any
  hostname,   // std::string: a name as EHLO takes it, or an address literal in brackets
  path,       // std::string
  file,       // std::string: a file that this process can read
  users,      // std::string: a file of users and hashes
  secret,     // std::string: a file that nobody else may look into
  selector,   // std::string: labels as in a host name
  mailbox,    // std::string: local@domain
  flag,       // bool
  count,      // int64_t within the range
  number,     // double within the range
  duration,   // io::Duration within the range
  time,       // io::WallTime; none: std::string, empty
  rate,       // double: a second
  choice,     // ConfigChoice
  next_hops,  // std::vector<std::string>; empty: "mx"
  listener,   // std::string: ADDRESS:PORT
  address,    // std::string: an IP address
  source,     // std::string: the name of a [[source]]
  servers,    // std::vector<std::string>: ADDRESS[:PORT]
  networks,   // std::vector<std::string>: ADDRESS[/BITS]
  names,      // std::vector<std::string>: of hosts, or "*"
  durations,  // std::vector<io::Duration>, each within the range
};

struct ConfigChoice {
  std::string_view name;  // as the table spells it: lives for ever
  uint8_t index = 0;      // in the order of `choices`
};

using ConfigValue = std::variant<bool, int64_t, double, std::string, io::Duration, io::WallTime,
                                 ConfigChoice, std::vector<std::string>, std::vector<io::Duration>>;

/// One key of the configuration. Parsing, checks, built-in defaults, docs/configuration.md and
/// `sluice check --defaults` all read the table of these.
struct ConfigKey {
  std::string_view section;  // "engine", "destination", "destination.timeout", ...
  std::string_view name;
  ConfigType type;
  std::string_view standard;  // default, as TOML; "" when the key must be given
  std::string_view min,
      max;  // as TOML writes them, durations without quotes; "" when there is no range
  std::string_view choices;  // "no|manual|etrn"
  bool may_be_empty;         // "" is a value: not set
  std::string_view meaning;  // one line, Markdown
  /// Puts a value into the section's object: Config, DestinationPolicy, SourceAddress,
  /// SenderPolicy, ListenPolicy or DkimPolicy.
  void (*store)(void* target, const ConfigValue& value);

  bool is_destination() const { return section.starts_with("destination"); }
  /// "retry.first" for a key of destination.retry, "port" for one of destination.
  std::string path_in_destination() const;
};

/// A table of the file: how it is headed, and what it is for.
struct ConfigSection {
  std::string_view name;     // "destination.timeout"
  std::string_view heading;  // `[destination."*".timeout]`
  std::string_view meaning;
};

std::span<const ConfigKey> config_keys();
std::span<const ConfigSection> config_sections();
/// Of a section, in the table's order; a section's keys lie together.
std::span<const ConfigKey> config_keys(std::string_view section);
/// nullptr when there is none.
const ConfigKey* find_config_key(std::string_view section, std::string_view name);

}  // namespace sluice::engine
