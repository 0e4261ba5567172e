#include "engine/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "engine/config_reader.h"
#include "engine/config_section.h"
#include "engine/config_value.h"
#include "engine/mail/charset.h"
#include "io/check.h"

namespace sluice::engine {

namespace {

using Sections = std::vector<std::shared_ptr<const Config::Section>>;

/// Those that match, the one that wins last.
std::vector<const Config::Section*> matching(const Sections& sections, std::string_view domain) {
  std::vector<const Config::Section*> found;
  for (const auto& section : sections)
    if (section->weight(domain) != 0) found.push_back(section.get());
  std::ranges::sort(found, {}, [domain](const auto* section) { return section->weight(domain); });
  return found;
}

DestinationPolicy make_standard_policy() {
  DestinationPolicy policy;
  // Not in the contract's table: a resolver answers or does not; AUTH is a command like MAIL.
  policy.timeout[static_cast<size_t>(smtp::Stage::dns)] = std::chrono::seconds(30);
  policy.timeout[static_cast<size_t>(smtp::Stage::auth)] = std::chrono::minutes(5);
  for (const ConfigKey& key : config_keys())
    if (key.is_destination()) key.store(&policy, standard_value(key));
  return policy;
}

ConfigError error_of_file(const std::string& path, std::string_view what) {
  ConfigError error{.file = path, .message = std::string(what)};
  error.text = fmt::format("{}: {}", path, what);
  return error;
}

/// The name of this host: as the kernel has it, with its domain when /etc/hosts knows that.
std::string system_hostname() {
  char buffer[HOST_NAME_MAX + 1] = {};
  if (gethostname(buffer, sizeof buffer - 1) != 0) return "localhost";
  std::string name = ascii_domain(buffer).value_or("localhost");
  if (name.find('.') != std::string::npos) return name;
  std::ifstream hosts("/etc/hosts");
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;)
      if (word.starts_with(name + ".") && is_hostname(word)) return word;
  }
  return name;
}

std::expected<std::string, ConfigError> read_file(const std::string& path) {
  constexpr size_t file_bytes_max = 4 * 1024 * 1024;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text(file_bytes_max + 1, '\0');
  if (file) file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.is_open() || file.bad() || (errno != 0 && file.gcount() == 0))
    return std::unexpected(
        error_of_file(path, fmt::format("cannot be read: {}", std::strerror(errno))));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > file_bytes_max)
    return std::unexpected(error_of_file(path, "is over 4 MiB; that is no configuration"));
  return text;
}

}  // namespace

std::string SourceAddress::text() const {
  std::string text = local.text();
  text.resize(text.rfind(':'));
  return text.starts_with('[') ? text.substr(1, text.size() - 2) : text;
}

size_t Config::Section::weight(std::string_view domain) const {
  if (pattern == "*") return is_command_line ? SIZE_MAX : 1;
  if (pattern == domain) return pattern.size() + 2;
  return pattern.starts_with("*.") && domain.ends_with(pattern.substr(1)) ? pattern.size() : 0;
}

const Config::Section::Setting* Config::Section::find(const ConfigKey& key) const {
  const auto found = std::ranges::find(settings, &key, &Setting::key);
  return found == settings.end() ? nullptr : &*found;
}

const ConfigValue& standard_value(const ConfigKey& key) {
  static const std::vector<ConfigValue> values = [] {
    std::vector<ConfigValue> made;
    for (const ConfigKey& k : config_keys()) made.push_back(read_standard_value(k));
    return made;
  }();
  return values[static_cast<size_t>(&key - config_keys().data())];
}

DestinationPolicy Config::destination(std::string_view domain) const {
  static const DestinationPolicy standard = make_standard_policy();
  DestinationPolicy policy = standard;
  for (const Section* section : matching(sections, domain))
    for (const auto& setting : section->settings) setting.key->store(&policy, setting.value);
  policy.source_addresses = addresses_of(policy.source);
  return policy;
}

DestinationPolicy Config::destination(std::string_view domain, std::string_view next_hop,
                                      std::string_view source_name) const {
  DestinationPolicy policy = destination(domain);
  if (!next_hop.empty()) policy.next_hops = {std::string(next_hop)};
  if (source_name.empty() || source_name == policy.source) return policy;
  policy.source = source_name;
  policy.source_addresses = addresses_of(source_name);
  return policy;
}

bool Config::has_source(std::string_view name) const {
  return std::ranges::find(sources, name, &SourceAddress::source) != sources.end();
}

std::vector<SourceAddress> Config::addresses_of(std::string_view name) const {
  std::vector<SourceAddress> addresses;
  for (const SourceAddress& address : sources)
    if (address.source == name) addresses.push_back(address);
  return addresses;
}

SenderPolicy Config::sender(std::string_view sender) const {
  SenderPolicy found;
  const std::string_view domain = sender.substr(sender.rfind('@') + 1);
  for (const SenderPolicy& policy : senders) {
    const std::string_view pattern = policy.pattern;
    if (pattern == "*")
      found = policy;
    else if (mail::equals_ignoring_case(domain, pattern.substr(pattern.find('@') + 1)))
      return policy;
  }
  return found;
}

std::vector<std::string> Config::patterns() const {
  std::vector<std::string> patterns;
  for (const auto& section : sections) patterns.push_back(section->pattern);
  return patterns;
}

ConfigPlace Config::place(std::string_view domain, std::string_view key) const {
  ConfigPlace place{.file = "built-in", .line = 0};
  for (const Section* section : matching(sections, domain))
    for (const auto& setting : section->settings)
      if (setting.key->path_in_destination() == key) place = setting.place;
  return place;
}

Config Config::defaults() {
  auto config = parse("", "built-in");
  CHECK(config.has_value());
  config->source.clear();
  config->hostname = system_hostname();
  return *std::move(config);
}

std::expected<Config, std::vector<ConfigError>> Config::parse(std::string_view toml,
                                                              const std::string& path) {
  return read_config(toml, path, false);
}

std::expected<Config, std::vector<ConfigError>> Config::load(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::unexpected(std::vector{text.error()});
  auto config = read_config(*text, path, true);
  if (config && config->hostname.empty()) config->hostname = system_hostname();
  return config;
}

std::expected<Config, std::vector<ConfigError>> Config::find(const std::string& path) {
  if (!path.empty()) return load(path);
  // Not "can be read": a file that is there and closed to us is a mistake, not a reason for the
  // defaults.
  if (access(system_path, F_OK) == 0) return load(system_path);
  return defaults();
}

std::optional<std::string> Config::override_next_hop(std::string_view text) {
  const auto hop = parse_next_hop(text);
  if (!hop || hop->port == 0)
    return fmt::format(
        "\"{}\" is not HOST:PORT; write 127.0.0.1:25, [2001:db8::7]:25 or relay.example.net:25",
        text);
  auto section = std::make_shared<Section>();
  section->pattern = "*";
  section->is_command_line = true;
  section->settings.push_back({.key = find_config_key("destination", "next_hop"),
                               .value = std::vector{std::string(text)},
                               .place = {.file = "command line", .line = 0}});
  sections.push_back(std::move(section));
  return std::nullopt;
}

}  // namespace sluice::engine
