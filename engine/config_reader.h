#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/config_keys.h"

namespace sluice::engine {

/// Reads TOML by the table of config_keys.h and checks it as a whole; mistakes in the order of
/// their lines. With `look_at_files` a file that the configuration names and that cannot be read is
/// a mistake too. Config::parse() and Config::load() are its faces.
std::expected<Config, std::vector<ConfigError>> read_config(std::string_view toml,
                                                            const std::string& path,
                                                            bool look_at_files);

/// The value of `toml`, a TOML literal, for `key`: how the table's defaults are read. They are
/// right: anything else is CHECKed.
ConfigValue read_standard_value(const ConfigKey& key);

/// The name of a field as errors show it: `destination."*".timeout`.
std::string config_field(std::string_view prefix, std::string_view name);

}  // namespace sluice::engine
