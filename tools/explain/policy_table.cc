#include "tools/explain/policy_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>

#include "engine/config_section.h"
#include "engine/config_value.h"
#include "engine/report/time_text.h"

namespace sluice::tools {

namespace {

using engine::Config;
using engine::ConfigKey;
using engine::ConfigType;
using engine::ConfigValue;

/// The setting that wins; the built-in value where there is none.
const ConfigValue& value_of(const Config& config, const ConfigKey& key, std::string_view domain) {
  const ConfigValue* found = &engine::standard_value(key);
  size_t best = 0;
  for (const auto& section : config.sections) {
    const size_t weight = section->weight(domain);
    const auto* setting = weight == 0 ? nullptr : section->find(key);
    if (setting == nullptr || weight < best) continue;
    found = &setting->value;
    best = weight;
  }
  return *found;
}

struct TextOf {
  ConfigType type;

  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const {
    if (type == ConfigType::rate) return value == 0 ? "no limit" : fmt::format("{:g}/s", value);
    return fmt::format("{:g}", value);
  }
  std::string operator()(const std::string& value) const {
    return value.empty() ? "not set" : value;
  }
  std::string operator()(io::Duration value) const {
    return value == io::Duration{} ? "not set" : engine::duration_text(value);
  }
  std::string operator()(io::WallTime value) const { return engine::report::time_text(value); }
  std::string operator()(const engine::ConfigChoice& value) const {
    return std::string(value.name);
  }
  std::string operator()(const std::vector<std::string>& value) const {
    return value.empty() && type == ConfigType::next_hops
               ? "mx"
               : fmt::format("{}", fmt::join(value, ", "));
  }
  std::string operator()(const std::vector<io::Duration>& value) const {
    std::vector<std::string> texts;
    for (const io::Duration duration : value) texts.push_back(engine::duration_text(duration));
    return texts.empty() ? "not set" : fmt::format("{}", fmt::join(texts, ", "));
  }
};

/// Live for ever: the table of keys is one.
const std::deque<std::string>& paths() {
  static const std::deque<std::string> made = [] {
    std::deque<std::string> out;
    for (const ConfigKey& key : engine::config_keys())
      if (key.is_destination()) out.push_back(key.path_in_destination());
    return out;
  }();
  return made;
}

}  // namespace

std::string_view expiry_key(engine::Priority priority) {
  switch (priority) {
    case engine::Priority::urgent:     return "expire.urgent";
    case engine::Priority::normal:     return "expire.normal";
    case engine::Priority::non_urgent: return "expire.non_urgent";
  }
  return "expire.normal";
}

std::string place_text(const engine::ConfigPlace& place) {
  return place.line == 0 ? place.file : fmt::format("{}:{}", place.file, place.line);
}

std::vector<PolicyLine> policy_table(const Config& config, std::string_view domain,
                                     std::string_view sender) {
  std::vector<PolicyLine> out;
  auto path = paths().begin();
  for (const ConfigKey& key : engine::config_keys()) {
    if (!key.is_destination()) continue;
    out.push_back({*path, std::visit(TextOf{key.type}, value_of(config, key, domain)),
                   place_text(config.place(domain, *path))});
    ++path;
  }
  const engine::SenderPolicy own = config.sender(sender);
  const auto source = std::ranges::find(out, "source", &PolicyLine::key);
  if (!own.source.empty()) source->value = own.source, source->place = place_text(own.source_place);
  return out;
}

}  // namespace sluice::tools
