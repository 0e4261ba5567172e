#include "engine/config_value.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <idn2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "engine/config.h"

namespace sluice::engine {

namespace {

using namespace std::chrono_literals;

constexpr std::pair<std::string_view, io::Duration> units[] = {
    {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}, {"d", 24h}};

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number<uint16_t>(text);
  return port && *port != 0 ? port : std::nullopt;
}

bool is_ip(std::string_view text) {
  const std::string terminated(text);
  std::array<uint8_t, 16> octets;
  return inet_pton(AF_INET, terminated.c_str(), octets.data()) == 1 ||
         inet_pton(AF_INET6, terminated.c_str(), octets.data()) == 1;
}

std::string_view without_ipv6_tag(std::string_view text) {
  constexpr std::string_view tag = "IPv6:";
  return text.starts_with(tag) ? text.substr(tag.size()) : text;
}

}  // namespace

std::optional<io::Duration> parse_duration(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number<int64_t>(text.substr(0, digits));
  if (!number) return std::nullopt;
  for (const auto& [suffix, unit] : units) {
    if (text.substr(digits) != suffix) continue;
    if (*number > io::Duration::max() / unit) return std::nullopt;
    return *number * unit;
  }
  return std::nullopt;
}

std::string duration_text(io::Duration duration) {
  std::string text = "0s";
  for (const auto& [suffix, unit] : units)
    if (duration >= unit && duration % unit == io::Duration::zero())
      text = fmt::format("{}{}", duration / unit, suffix);
  return text;
}

std::optional<double> parse_rate(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto number = parse_number<uint32_t>(text.substr(0, slash));
  if (!number || *number == 0) return std::nullopt;
  for (const auto& [suffix, unit] : units) {
    if (suffix != "ms" && text.substr(slash + 1) == suffix)
      return *number / std::chrono::duration<double>(unit).count();
  }
  return std::nullopt;
}

bool is_hostname(std::string_view text) {
  constexpr size_t name_bytes_max = 253, label_bytes_max = 63;
  if (text.empty() || text.size() > name_bytes_max) return false;
  while (true) {
    const std::string_view label = text.substr(0, text.find('.'));
    if (label.empty() || label.size() > label_bytes_max) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return is_letter_or_digit(c) || c == '-'; }))
      return false;
    if (label.size() == text.size()) return true;
    text.remove_prefix(label.size() + 1);
  }
}

bool is_address_literal(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  return is_ip(without_ipv6_tag(text.substr(1, text.size() - 2)));
}

std::optional<NextHop> parse_next_hop(std::string_view text) {
  NextHop hop;
  std::string_view port;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos || !is_address_literal(text.substr(0, end + 1)))
      return std::nullopt;
    hop.host = without_ipv6_tag(text.substr(1, end - 1));
    port = text.substr(end + 1);
  } else {
    const size_t colon = std::min(text.find(':'), text.size());
    hop.host = text.substr(0, colon);
    if (!is_hostname(hop.host)) return std::nullopt;
    // 192.0.2.300 is a host name by its letters, and surely not meant as one.
    const bool is_numeric = hop.host.find_first_not_of("0123456789.") == std::string::npos;
    if (is_numeric && !is_ip(hop.host)) return std::nullopt;
    port = text.substr(colon);
  }
  if (port.empty()) return hop;
  const auto number = port.front() == ':' ? parse_port(port.substr(1)) : std::nullopt;
  if (!number) return std::nullopt;
  hop.port = *number;
  return hop;
}

std::optional<io::SocketAddress> parse_address(std::string_view text) {
  const bool is_v6 = text.find(':') != std::string_view::npos;
  const auto address =
      io::SocketAddress::parse(is_v6 ? fmt::format("[{}]:0", text) : fmt::format("{}:0", text));
  return address ? std::optional(*address) : std::nullopt;
}

std::optional<std::string> ascii_domain(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::string domain(text);
  const bool is_ascii =
      std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!is_ascii) {
    char* converted = nullptr;
    if (idn2_to_ascii_8z(domain.c_str(), &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
        IDN2_OK)
      return std::nullopt;
    domain = converted;
    idn2_free(converted);
  }
  std::ranges::transform(domain, domain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  if (!is_hostname(domain)) return std::nullopt;
  return domain;
}

}  // namespace sluice::engine
