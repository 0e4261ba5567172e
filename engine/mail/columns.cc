#include "engine/mail/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "engine/mail/charset.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

constexpr std::string_view email = "email";
constexpr size_t names_shown_max = 20;

// Levenshtein's, of lower-case names.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Columns::Columns(std::span<const std::string> names, std::span<const ColumnStatistics> statistics)
    : names_(names),
      statistics_(statistics),
      email_(static_cast<size_t>(std::ranges::find(names, email) - names.begin())) {
  CHECK(names.size() < columns_max);
  CHECK(statistics.empty() || statistics.size() == names.size());
  newline_forbidden_.resize(names.size() - (email_ < names.size()));
}

std::optional<uint16_t> Columns::find(std::string_view name) const {
  if (name == email) return address_column;
  const auto index = static_cast<size_t>(std::ranges::find(names_, name) - names_.begin());
  if (index == names_.size()) return {};
  return static_cast<uint16_t>(index > email_ ? index - 1 : index);
}

std::string Columns::explain_unknown(std::string_view name) const {
  std::string hint;
  // Two slips in a word of four: letters that changed places are two.
  size_t best = 1 + (name.size() < 4 ? 1 : std::max<size_t>(2, name.size() / 3));
  std::string shown;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (i < names_shown_max) shown += (i > 0 ? ", " : "") + names_[i];
    if (i == names_shown_max) shown += fmt::format(" and {} more", names_.size() - i);
    if (name.size() > 80 || names_[i].size() > 80) continue;
    const size_t d = distance(to_lower(name), to_lower(names_[i]));
    if (d >= best) continue;
    best = d;
    hint = fmt::format(" (did you mean {{{{{}}}}}?)", names_[i]);
  }
  return fmt::format("tag {{{{{}}}}} has no column{}; columns are {}", name, hint, shown);
}

const ColumnStatistics& Columns::statistics(uint16_t column) const {
  CHECK(has_statistics());
  if (column == address_column) {
    static constexpr ColumnStatistics unknown{
        .bytes_max = UINT32_MAX, .has_8bit = true, .has_newline = true};
    return email_ < names_.size() ? statistics_[email_] : unknown;
  }
  return statistics_[column < email_ ? column : column + size_t{1}];
}

void Columns::forbid_newline(uint16_t column) {
  if (column != address_column) newline_forbidden_[column] = true;
}

}  // namespace sluice::engine::mail
