#pragma once

#include <toml++/toml.h>

#include <expected>
#include <string>

#include "engine/config_keys.h"

namespace sluice::engine {

/// The value that `node` gives to `key`; or what is wrong with it, `"30x" is not a duration; write
/// 30s, 5m, 2h or 1d`.
std::expected<ConfigValue, std::string> parse_toml_value(const ConfigKey& key,
                                                         const toml::node& node);

/// A value as an error shows it: TOML, cut when it is long.
std::string toml_text(const toml::node& node);

}  // namespace sluice::engine
