#pragma once

#include <string>

#include "engine/config.h"

namespace sluice::engine {

/// docs/configuration.md, whole: every key of the table with type, default, range and meaning.
std::string config_markdown();

/// A configuration file that sets every key to its default, with the meanings as comments: a place
/// to start from.
std::string config_defaults_toml();

/// What a configuration comes to, for people: the settings that differ from the defaults and where
/// they were set.
std::string config_summary(const Config& config);

}  // namespace sluice::engine
