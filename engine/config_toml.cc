#include "engine/config_toml.h"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "engine/config.h"
#include "engine/config_value.h"
#include "engine/intake/networks.h"

namespace sluice::engine {

namespace {

std::string range_text(const ConfigKey& key) { return fmt::format("{} to {}", key.min, key.max); }

std::string choices_text(const ConfigKey& key) {
  std::string text = fmt::format("\"{}\"", key.choices);
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos;)
    text.replace(at, 1, "\", \"");
  return text;
}

using Parsed = std::expected<ConfigValue, std::string>;

std::unexpected<std::string> refused(const toml::node& node, std::string_view why) {
  return std::unexpected(fmt::format("{} {}", toml_text(node), why));
}

Parsed parse_text(const ConfigKey& key, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (!text) return refused(node, "is not a string; write it in quotes");
  if (text->find('\0') != std::string::npos) return refused(node, "holds a NUL");
  if (text->empty()) {
    if (key.may_be_empty) return *text;
    return refused(node, "is empty; a value is needed");
  }
  switch (key.type) {
    case ConfigType::hostname:
      if (is_address_literal(*text)) return *text;
      if (auto domain = ascii_domain(*text)) return *std::move(domain);
      return refused(node, "is not a host name; write one such as mta1.example.net");
    case ConfigType::mailbox: {
      const size_t at = text->rfind('@');
      const bool is_mailbox = at != std::string::npos && at > 0 &&
                              ascii_domain(text->substr(at + 1)) &&
                              text->find_first_of(" \t\r\n<>") == std::string::npos;
      if (is_mailbox) return *text;
      return refused(node, "is not a mail address; write one such as postmaster@example.net");
    }
    case ConfigType::selector:
      if (is_hostname(*text)) return *text;
      return refused(node, "is not a selector; write one such as s1 or 2026-12.mail");
    case ConfigType::listener:
      if (io::SocketAddress::parse(*text)) return *text;
      return refused(node, "is not ADDRESS:PORT; write 127.0.0.1:2525 or [::1]:2525");
    case ConfigType::address:
      if (parse_address(*text)) return *text;
      return refused(node, "is not an IP address; write 192.0.2.7 or 2001:db8::7");
    default: return *text;
  }
}

Parsed parse_count(const ConfigKey& key, const toml::node& node) {
  const auto count = node.value_exact<int64_t>();
  if (!count)
    return refused(node, fmt::format("is not a whole number; the range is {}", range_text(key)));
  const std::string min(key.min), max(key.max);
  if (*count < std::stoll(min) || *count > std::stoll(max))
    return refused(node, fmt::format("is out of range; the range is {}", range_text(key)));
  return *count;
}

Parsed parse_number(const ConfigKey& key, const toml::node& node) {
  const auto number = node.is_number() ? node.value<double>() : std::nullopt;
  if (!number)
    return refused(node, fmt::format("is not a number; the range is {}", range_text(key)));
  // Written so that nan, which TOML has, is out of range as well.
  if (!(*number >= std::stod(std::string(key.min)) && *number <= std::stod(std::string(key.max))))
    return refused(node, fmt::format("is out of range; the range is {}", range_text(key)));
  return *number;
}

std::expected<io::Duration, std::string> parse_one_duration(const ConfigKey& key,
                                                            const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (text && text->empty() && key.may_be_empty) return io::Duration::zero();
  const auto duration = parse_duration(text.value_or(""));
  if (!duration) return refused(node, "is not a duration; write 30s, 5m, 2h or 1d");
  if (*duration < *parse_duration(key.min) || *duration > *parse_duration(key.max))
    return refused(node, fmt::format("is out of range; the range is {}", range_text(key)));
  return *duration;
}

Parsed parse_time(const toml::node& node) {
  if (node.value_exact<std::string>() == "") return std::string();
  const auto time = node.value_exact<toml::date_time>();
  const auto known = [&] {
    return std::chrono::year_month_day(std::chrono::year(time->date.year),
                                       std::chrono::month(time->date.month),
                                       std::chrono::day(time->date.day));
  };
  if (!time || !time->offset || !known().ok())
    return refused(node, "is not a time with its zone; write 2026-12-01T00:00:00Z, without quotes");
  const auto since_midnight =
      std::chrono::hours(time->time.hour) + std::chrono::minutes(time->time.minute) +
      std::chrono::seconds(time->time.second) - std::chrono::minutes(time->offset->minutes);
  return io::WallTime(std::chrono::sys_days(known())) + since_midnight;
}

Parsed parse_rate_value(const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (text && text->empty()) return 0.0;
  const auto rate = parse_rate(text.value_or(""));
  if (!rate)
    return refused(node,
                   "is not a rate; write 100/s, 3000/m, 5000/h or 100000/d, or \"\" for none");
  return *rate;
}

Parsed parse_choice(const ConfigKey& key, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  std::string_view rest = key.choices;
  for (uint8_t index = 0; text && !rest.empty(); ++index) {
    const std::string_view choice = rest.substr(0, rest.find('|'));
    if (*text == choice) return ConfigChoice{.name = choice, .index = index};
    rest.remove_prefix(std::min(rest.size(), choice.size() + 1));
  }
  return refused(node, fmt::format("is not one of {}", choices_text(key)));
}

/// Each element of a list of strings, as far as `is_good` lets it pass.
template <class Predicate>
Parsed parse_strings(const toml::node& node, std::string_view wanted, Predicate is_good) {
  const toml::array* list = node.as_array();
  if (!list) return refused(node, fmt::format("is not a list; write {}", wanted));
  std::vector<std::string> texts;
  for (const toml::node& element : *list) {
    const auto text = element.value_exact<std::string>();
    if (!text || !is_good(*text))
      return refused(element, fmt::format("does not fit; write {}", wanted));
    texts.push_back(*text);
  }
  return texts;
}

Parsed parse_networks(const toml::node& node) {
  const toml::array* list = node.as_array();
  if (!list) return refused(node, R"(is not a list; write one such as ["127.0.0.0/8", "::1"])");
  std::vector<std::string> texts;
  for (const toml::node& element : *list) {
    const auto text = element.value_exact<std::string>();
    const auto network = intake::parse_network(text.value_or(""));
    if (!network) return refused(element, network.error());
    texts.push_back(*text);
  }
  return texts;
}

Parsed parse_next_hops(const toml::node& node) {
  if (node.value_exact<std::string>() == "mx") return std::vector<std::string>();
  auto hops =
      parse_strings(node, R"("mx" or a list such as ["relay.example.net:25", "[192.0.2.7]:2525"])",
                    [](const std::string& text) { return parse_next_hop(text).has_value(); });
  if (hops && std::get<std::vector<std::string>>(*hops).empty())
    return std::unexpected(
        R"([] names no host; write "mx" or a list such as ["relay.example.net:25"])");
  return hops;
}

Parsed parse_durations(const ConfigKey& key, const toml::node& node) {
  const toml::array* list = node.as_array();
  if (!list) return refused(node, R"(is not a list; write one such as ["1m", "5m", "1h"])");
  std::vector<io::Duration> durations;
  for (const toml::node& element : *list) {
    const auto duration = parse_one_duration(key, element);
    if (!duration) return std::unexpected(duration.error());
    durations.push_back(*duration);
  }
  return durations;
}

}  // namespace

std::string toml_text(const toml::node& node) {
  constexpr size_t shown_bytes_max = 60;
  if (node.is_table()) return "a table";
  std::ostringstream stream;
  // Double quotes, whatever the file wrote: what the advice that follows is written in.
  stream << toml::toml_formatter(
      node, toml::toml_formatter::default_flags & ~toml::format_flags::allow_literal_strings);
  std::string text = std::move(stream).str();
  if (text.size() <= shown_bytes_max) return text;
  size_t end = shown_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::expected<ConfigValue, std::string> parse_toml_value(const ConfigKey& key,
                                                         const toml::node& node) {
  switch (key.type) {
    case ConfigType::text:
    case ConfigType::hostname:
    case ConfigType::path:
    case ConfigType::file:
    case ConfigType::users:
    case ConfigType::secret:
    case ConfigType::selector:
    case ConfigType::mailbox:
    case ConfigType::listener:
    case ConfigType::address:
    case ConfigType::source:   return parse_text(key, node);
    case ConfigType::flag:
      if (const auto flag = node.value_exact<bool>()) return *flag;
      return refused(node, "is not true or false");
    case ConfigType::count:    return parse_count(key, node);
    case ConfigType::number:   return parse_number(key, node);
    case ConfigType::duration: {
      auto duration = parse_one_duration(key, node);
      if (!duration) return std::unexpected(duration.error());
      return *duration;
    }
    case ConfigType::time:      return parse_time(node);
    case ConfigType::rate:      return parse_rate_value(node);
    case ConfigType::choice:    return parse_choice(key, node);
    case ConfigType::next_hops: return parse_next_hops(node);
    case ConfigType::servers:
      return parse_strings(
          node, R"(a list such as ["192.0.2.53", "127.0.0.1:5353"])",
          [](const std::string& text) { return io::SocketAddress::parse(text, 53).has_value(); });
    case ConfigType::networks: return parse_networks(node);
    case ConfigType::names:
      return parse_strings(
          node, R"(a list such as ["relay.example.net"], or ["*"])",
          [](const std::string& text) { return text == "*" || is_hostname(text); });
    case ConfigType::durations: return parse_durations(key, node);
  }
  std::unreachable();
}

}  // namespace sluice::engine
