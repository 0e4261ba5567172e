#include "engine/config_reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/config_keys.h"
#include "engine/config_section.h"
#include "engine/config_value.h"

namespace sluice::engine {

namespace {

std::string type_text(const ConfigKey& key) {
  switch (key.type) {
    case ConfigType::text:      return "text";
    case ConfigType::hostname:  return "host name";
    case ConfigType::path:      return "path";
    case ConfigType::file:
    case ConfigType::users:
    case ConfigType::secret:    return "file";
    case ConfigType::selector:  return "selector";
    case ConfigType::mailbox:   return "mail address";
    case ConfigType::flag:      return "true or false";
    case ConfigType::count:     return "whole number";
    case ConfigType::number:    return "number";
    case ConfigType::duration:  return "duration";
    case ConfigType::time:      return "time";
    case ConfigType::rate:      return "rate";
    case ConfigType::choice:    return "one of";
    case ConfigType::next_hops: return "`\"mx\"` or list of hosts";
    case ConfigType::listener:  return "address and port";
    case ConfigType::address:   return "IP address";
    case ConfigType::source:    return "name of a source";
    case ConfigType::servers:   return "list of addresses";
    case ConfigType::networks:  return "list of networks";
    case ConfigType::names:     return "list of names";
    case ConfigType::durations: return "list of durations";
  }
  return {};
}

std::string range_text(const ConfigKey& key) {
  if (!key.min.empty()) return fmt::format(", {} to {}", key.min, key.max);
  if (key.choices.empty()) return {};
  std::string text = fmt::format(" `{}`", key.choices);
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos;) text.replace(at, 1, "`, `");
  return text;
}

std::string standard_text(const ConfigKey& key) {
  return key.standard.empty() ? "must be given" : fmt::format("`{}`", key.standard);
}

/// Sections of which a file may hold several, and none by default.
bool is_repeated(std::string_view section) {
  return section == "listen" || section == "dkim" || section == "source";
}

}  // namespace

std::string config_markdown() {
  std::string out =
      "# Configuration\n\n"
      "<!-- Made by `sluice check --describe` from the table in engine/config_keys.cc; do not "
      "edit. -->\n\n"
      "A TOML file. Every command takes `--config FILE`; without it `/etc/sluice/sluice.toml` is "
      "read when it exists,\n"
      "else the defaults below hold. `sluice check` finds every mistake of a file in one go, each "
      "with file, line and\n"
      "field, and exits 78. `sluice check --defaults` prints a file with every key to start "
      "from.\n\n"
      "Durations are a whole number with a unit: `250ms`, `30s`, `5m`, `2h`, `1d`. Relative paths "
      "count from the working\n"
      "directory of the process.\n";
  for (const ConfigSection& section : config_sections()) {
    out += fmt::format(
        "\n## `{}`\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n",
        section.heading, section.meaning);
    for (const ConfigKey& key : config_keys(section.name))
      out += fmt::format("| `{}` | {}{} | {} | {} |\n", key.name, type_text(key), range_text(key),
                         standard_text(key), key.meaning);
  }
  return out;
}

std::string config_defaults_toml() {
  std::string out =
      "# Sluice: every key with its default. `sluice check --config FILE` finds mistakes.\n";
  for (const ConfigSection& section : config_sections()) {
    // What by default is not there at all is shown, not set.
    const std::string_view mark = is_repeated(section.name) ? "# " : "";
    std::string heading(section.heading);
    if (const size_t at = heading.find("PATTERN"); at != std::string::npos)
      heading.replace(at, 7, "*");
    if (const size_t at = heading.find("DOMAIN"); at != std::string::npos)
      heading.replace(at, 6, "news.example");
    if (const size_t at = heading.find("NAME"); at != std::string::npos)
      heading.replace(at, 4, "news");
    out += fmt::format("\n{}{}\n", mark, heading);
    for (const ConfigKey& key : config_keys(section.name)) {
      const std::string setting =
          fmt::format("{}{} = {}", mark, key.name, key.standard.empty() ? "\"\"" : key.standard);
      out += fmt::format("{:<39} # {}\n", setting, key.meaning);
    }
  }
  return out;
}

std::string config_summary(const Config& config) {
  std::string out;
  const auto line = [&out](std::string_view name, std::string_view value) {
    out += fmt::format("  {:<12}{}\n", name, value);
  };
  line("hostname", config.hostname);
  if (config.hostname.find('.') == std::string::npos)
    line("", "(not a full name: many receivers refuse it; set engine.hostname)");
  line("spool", config.spool);
  line("log", config.log);
  line("shards", config.shards == 0 ? "one a core" : std::to_string(config.shards));
  for (const ListenPolicy& listener : config.listen) line("listen", listener.address);
  if (!config.admin_address.empty()) line("admin", config.admin_address);
  for (const SourceAddress& source : config.sources)
    line("source",
         fmt::format("{}: {} as {}, weight {}", source.source, source.text(),
                     source.hostname.empty() ? config.hostname : source.hostname, source.weight));
  for (const DkimPolicy& dkim : config.dkim)
    line("dkim", fmt::format("{} with selector {}", dkim.domain, dkim.selector));
  const auto destination_lines = [&](const std::string& pattern) {
    const DestinationPolicy policy = config.destination(pattern);
    std::string hops = policy.next_hops.empty() ? fmt::format("mx, port {}", policy.port) : "";
    for (const std::string& hop : policy.next_hops)
      hops += fmt::format("{}{}{}", hops.empty() ? "" : ", then ", hop,
                          parse_next_hop(hop)->port == 0 ? fmt::format(":{}", policy.port) : "");
    line(pattern, hops);
    line("",
         fmt::format("up to {} sessions, {} messages each, {}", policy.sessions_max,
                     policy.messages_per_session_max,
                     policy.rate_per_s == 0 ? "no rate limit"
                                            : fmt::format("{:g} messages/s", policy.rate_per_s)));
    line("",
         fmt::format("retry after {} up to every {}, expires after {}",
                     duration_text(policy.retry.schedule.empty() ? policy.retry.first
                                                                 : policy.retry.schedule.front()),
                     duration_text(policy.retry.schedule.empty() ? policy.retry.ceiling
                                                                 : policy.retry.schedule.back()),
                     duration_text(policy.expire.normal)));
  };
  out += "  destinations\n";
  destination_lines("*");
  for (const auto& section : config.sections)
    if (section->pattern != "*") destination_lines(section->pattern);
  return out;
}

}  // namespace sluice::engine
