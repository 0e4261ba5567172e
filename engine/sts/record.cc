#include "engine/sts/record.h"

#include <algorithm>
#include <string_view>

namespace sluice::engine::sts {
namespace {

constexpr std::string_view version = "v=STSv1";

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t";
  const size_t first = text.find_first_not_of(space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// Other records may lie there as well; what is like ours begins so.
bool is_ours(std::string_view record) {
  if (!record.starts_with(version)) return false;
  return trimmed(record.substr(version.size())).starts_with(';');
}

bool is_id(std::string_view text) {
  constexpr size_t octets_max = 32;
  return !text.empty() && text.size() <= octets_max &&
         std::ranges::all_of(text, is_letter_or_digit);
}

bool is_extension(std::string_view field) {
  constexpr size_t name_octets_max = 32;
  const std::string_view name = field.substr(0, field.find('='));
  if (name.size() == field.size() || name.empty() || name.size() > name_octets_max) return false;
  const std::string_view value = field.substr(name.size() + 1);
  const bool has_name = is_letter_or_digit(name[0]) && std::ranges::all_of(name, [](char c) {
                          return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
                        });
  return has_name && !value.empty() &&
         std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7F && c != '='; });
}

std::optional<std::string> id_in(std::string_view record) {
  std::optional<std::string> id;
  record.remove_prefix(record.find(';') + 1);
  while (!record.empty()) {
    const size_t end = std::min(record.find(';'), record.size());
    const std::string_view field = trimmed(record.substr(0, end));
    const bool is_last = end == record.size();
    record.remove_prefix(is_last ? end : end + 1);
    if (field.empty() && is_last) break;  // behind the last semicolon
    if (field.starts_with("id=")) {
      if (!is_id(field.substr(3))) return std::nullopt;
      if (!id) id = field.substr(3);
    } else if (!is_extension(field)) {
      return std::nullopt;
    }
  }
  return id;
}

}  // namespace

std::optional<std::string> policy_id(std::span<const std::string> records) {
  const auto first = std::ranges::find_if(records, is_ours);
  if (first == records.end()) return std::nullopt;
  // Of several none counts.
  if (std::any_of(first + 1, records.end(), is_ours)) return std::nullopt;
  return id_in(*first);
}

}  // namespace sluice::engine::sts
