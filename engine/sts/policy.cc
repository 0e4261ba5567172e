#include "engine/sts/policy.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/config_value.h"

namespace sluice::engine::sts {
namespace {

using Mode = Policy::Mode;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t";
  const size_t first = text.find_first_not_of(space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return out;
}

std::optional<Mode> mode_of(std::string_view text) {
  for (const Mode mode : {Mode::none, Mode::testing, Mode::enforce})
    if (text == name(mode)) return mode;
  return std::nullopt;
}

/// Seconds of 1 to 10 digits; what is over a year counts as one.
std::optional<uint32_t> age_of(std::string_view text) {
  constexpr size_t digits_max = 10;
  uint64_t age = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), age);
  if (error != std::errc() || end != text.data() + text.size() || text.size() > digits_max)
    return std::nullopt;
  return static_cast<uint32_t>(std::min<uint64_t>(age, Policy::age_s_max));
}

bool is_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  return is_hostname(text);
}

class PolicyReader {
 public:
  std::expected<Policy, std::string_view> read(std::string_view text);

 private:
  std::string_view take_line(std::string_view line);
  std::string_view take(std::string_view key, std::string_view value);

  Policy policy_;
  bool has_version_ = false, has_mode_ = false, has_age_ = false;
};

std::expected<Policy, std::string_view> PolicyReader::read(std::string_view text) {
  if (text.size() > Policy::bytes_max) return std::unexpected("is over 64 KiB");
  policy_.text = text;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const auto problem = take_line(line); !problem.empty()) return std::unexpected(problem);
  }
  if (!has_version_) return std::unexpected("has no version");
  if (!has_mode_) return std::unexpected("has no mode");
  if (!has_age_) return std::unexpected("has no max_age");
  if (policy_.mode != Mode::none && policy_.mx.empty()) return std::unexpected("names no mx");
  return std::move(policy_);
}

std::string_view PolicyReader::take_line(std::string_view line) {
  if (trimmed(line).empty()) return {};
  const size_t colon = line.find(':');
  if (colon == line.npos) return "has a line without a colon";
  return take(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
}

/// Of a field that comes twice the first counts, except of mx; those we do not know are passed over
/// (section 3.2).
std::string_view PolicyReader::take(std::string_view key, std::string_view value) {
  if (key == "version" && !has_version_) {
    has_version_ = true;
    if (value != "STSv1") return "is of a version that is not STSv1";
  } else if (key == "mode" && !has_mode_) {
    has_mode_ = true;
    const auto mode = mode_of(value);
    if (!mode) return "has a mode that is none of enforce, testing, none";
    policy_.mode = *mode;
  } else if (key == "max_age" && !has_age_) {
    has_age_ = true;
    const auto age = age_of(value);
    if (!age) return "has a max_age that is no number of seconds";
    policy_.max_age_s = *age;
  } else if (key == "mx") {
    policy_.mx.push_back(in_lower_case(value));
    if (!is_pattern(policy_.mx.back())) return "has an mx that is no host name";
  }
  return {};
}

}  // namespace

std::string_view name(Mode mode) {
  switch (mode) {
    case Mode::none:    return "none";
    case Mode::testing: return "testing";
    case Mode::enforce: return "enforce";
  }
  return "?";
}

bool Policy::names(std::string_view host) const {
  const size_t dot = host.find('.');
  const std::string_view parent = dot == host.npos ? std::string_view() : host.substr(dot);
  return std::ranges::any_of(mx, [&](std::string_view pattern) {
    if (pattern.starts_with("*.")) return dot != 0 && pattern.substr(1) == parent;
    return pattern == host;
  });
}

std::expected<Policy, std::string_view> parse_policy(std::string_view text) {
  return PolicyReader().read(text);
}

}  // namespace sluice::engine::sts
