#pragma once

#include <simdjson.h>

#include "engine/intake/row_reader.h"

namespace sluice::engine::intake {

/// Reads JSON Lines: one object of scalars a line. The first object decides the columns; each later
/// one has the same keys, in any order. Strings stand for themselves, numbers for how they are
/// written, true for "true", false and null for "" (so that a Mustache section on them is not
/// shown); objects and arrays are refused.
class JsonLinesReader final : public RowReader {
 public:
  ReadStatus header(std::vector<std::string>& names, Row& row) override;
  ReadStatus next(Row& row) override;

 private:
  ReadStatus next_line(Row& row);
  bool parse(Row& row, std::vector<std::string>* names);
  bool value_text(simdjson::ondemand::value& value, std::string_view& text, Row& row);
  size_t column_of(std::string_view key, size_t guess) const;

  simdjson::ondemand::parser parser_;
  std::vector<std::string> names_;
  std::vector<bool> seen_;
  uint64_t line_ = 1;
  bool at_start_ = true;
};

}  // namespace sluice::engine::intake
