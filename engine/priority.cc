#include "engine/priority.h"

#include <algorithm>
#include <array>

#include "engine/mail/charset.h"

namespace sluice::engine {
namespace {

constexpr std::array<std::string_view, priority_count> names = {"normal", "urgent", "non-urgent"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

std::optional<Priority> of_importance(std::string_view value) {
  if (mail::equals_ignoring_case(value, "high")) return Priority::urgent;
  if (mail::equals_ignoring_case(value, "normal")) return Priority::normal;
  if (mail::equals_ignoring_case(value, "low")) return Priority::non_urgent;
  return {};
}

/// Mail programs write `1 (Highest)` and the like.
std::optional<Priority> of_number(std::string_view value) {
  const auto number = value.substr(0, value.find_first_of(" \t("));
  if (number == "1" || number == "2") return Priority::urgent;
  if (number == "3") return Priority::normal;
  if (number == "4" || number == "5") return Priority::non_urgent;
  return {};
}

}  // namespace

std::string_view name(Priority priority) { return names[static_cast<uint8_t>(priority)]; }

std::optional<Priority> parse_priority(std::string_view text) {
  for (uint8_t i = 0; i < priority_count; ++i)
    if (mail::equals_ignoring_case(text, names[i])) return static_cast<Priority>(i);
  return {};
}

Priority priority_of(std::string_view message) {
  struct Field {
    std::string_view name;
    std::optional<Priority> (*read)(std::string_view value);
    std::optional<Priority> found;
  };
  std::array fields{Field{"Priority", parse_priority, {}}, Field{"Importance", of_importance, {}},
                    Field{"X-Priority", of_number, {}}};
  while (!message.empty()) {
    const size_t end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.empty() || line == "\r") break;
    const size_t colon = line.find(':');
    const bool is_fold = line.front() == ' ' || line.front() == '\t';
    if (colon == line.npos || is_fold) continue;
    for (Field& field : fields)
      if (!field.found && mail::equals_ignoring_case(trimmed(line.substr(0, colon)), field.name))
        field.found = field.read(trimmed(line.substr(colon + 1)));
  }
  for (const Field& field : fields)
    if (field.found) return *field.found;
  return Priority::normal;
}

}  // namespace sluice::engine
