#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/program.h"
#include "engine/mail/template.h"

namespace sluice::engine::mail {

/// The recipient list's columns, as tags name them.
class Columns {
 public:
  Columns(std::span<const std::string> names, std::span<const ColumnStatistics> statistics);

  /// The column as programs number it; address_column for `email`.
  std::optional<uint16_t> find(std::string_view name) const;
  /// Why there is none: `tag {{nmae}} has no column (did you mean {{name}}?); columns are email,
  /// name`.
  std::string explain_unknown(std::string_view name) const;

  bool has_statistics() const { return !statistics_.empty(); }
  const ColumnStatistics& statistics(uint16_t column) const;

  /// A value with a line end would break what `column` is written into.
  void forbid_newline(uint16_t column);
  const std::vector<bool>& newline_forbidden() const { return newline_forbidden_; }

 private:
  std::span<const std::string> names_;
  std::span<const ColumnStatistics> statistics_;
  size_t email_;  // index in names_
  std::vector<bool> newline_forbidden_;
};

}  // namespace sluice::engine::mail
