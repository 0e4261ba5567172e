#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/config_keys.h"

namespace sluice::engine {

/// One [destination."pattern"] with its sub-tables, as written and checked.
struct Config::Section {
  struct Setting {
    const ConfigKey* key;
    ConfigValue value;
    ConfigPlace place;
  };

  std::string pattern;  // "*", "*.example.net" or "example.net", lower case, A-labels
  bool is_command_line = false;
  std::vector<Setting> settings;

  /// 0: does not match `domain`. The greater of two wins: the command line, then the name itself,
  /// then the longer "*." pattern.
  size_t weight(std::string_view domain) const;
  const Setting* find(const ConfigKey& key) const;
};

/// What the table says for a key that no section sets.
const ConfigValue& standard_value(const ConfigKey& key);

}  // namespace sluice::engine
