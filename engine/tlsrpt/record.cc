#include "engine/tlsrpt/record.h"

#include <algorithm>
#include <string_view>

namespace sluice::engine::tlsrpt {
namespace {

constexpr std::string_view version = "v=TLSRPTv1";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t";
  const size_t first = text.find_first_not_of(space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// Takes what is before the first `delimiter`, without the blanks around it.
std::string_view take(std::string_view& text, char delimiter) {
  const size_t end = std::min(text.find(delimiter), text.size());
  const std::string_view part = trimmed(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

/// Other records may lie there as well; what is like ours begins so.
bool is_ours(std::string_view record) {
  if (!record.starts_with(version)) return false;
  return trimmed(record.substr(version.size())).starts_with(';');
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Of a version that knows more; to be passed over.
bool is_extension(std::string_view field) {
  constexpr size_t name_octets_max = 32;
  const size_t equals = field.find('=');
  if (equals == field.npos) return false;
  const std::string_view name = field.substr(0, equals), value = field.substr(equals + 1);
  const bool has_name = !name.empty() && name.size() <= name_octets_max &&
                        is_letter_or_digit(name[0]) && std::ranges::all_of(name, [](char c) {
                          return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.';
                        });
  return has_name && !value.empty() &&
         std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7F && c != '='; });
}

bool is_uri(std::string_view text) {
  const size_t colon = text.find(':');
  return colon != text.npos && colon > 0 && colon + 1 < text.size() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '!'; });
}

/// Of the value of a field `rua`; empty when one of them is none.
std::vector<std::string> uris_in(std::string_view value) {
  std::vector<std::string> uris;
  do {
    const bool is_last = value.find(',') == value.npos;
    const std::string_view uri = take(value, ',');
    if (!is_uri(uri)) return {};
    uris.emplace_back(uri);
    if (is_last) break;
  } while (true);
  return uris;
}

}  // namespace

std::vector<std::string> report_uris(std::span<const std::string> records) {
  const auto first = std::ranges::find_if(records, is_ours);
  // Of several none counts.
  if (first == records.end() || std::any_of(first + 1, records.end(), is_ours)) return {};
  std::vector<std::string> uris;
  std::string_view record = *first;
  take(record, ';');
  while (!record.empty()) {
    const std::string_view field = take(record, ';');
    if (field.empty() && record.empty()) break;  // behind the last semicolon
    if (field.starts_with("rua=")) {
      std::vector<std::string> found = uris_in(field.substr(4));
      if (found.empty()) return {};
      if (uris.empty()) uris = std::move(found);
    } else if (!is_extension(field)) {
      return {};
    }
  }
  return uris;
}

}  // namespace sluice::engine::tlsrpt
