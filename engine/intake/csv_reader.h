#pragma once

#include "engine/intake/row_reader.h"

namespace sluice::engine::intake {

/// Reads CSV as RFC 4180 has it: comma, rows end with LF or CRLF, fields in quotes may hold both. A
/// UTF-8 byte order mark and empty lines are passed over; a quote inside an unquoted field stands
/// for itself. Does not look at what the fields hold.
class CsvReader final : public RowReader {
 public:
  ReadStatus header(std::vector<std::string>& names, Row& row) override;
  ReadStatus next(Row& row) override;

 private:
  struct Field {
    size_t begin, end;  // in the row, without the quotes
    bool has_escape;    // "" inside
  };
  enum class Scan : uint8_t { complete, incomplete, bad };

  ReadStatus read_row(Row& row);
  Scan scan_row(std::string_view input, Row& row);
  Scan scan_quoted(std::string_view input, size_t& at, Row& row);
  Scan scan_to_line_end(std::string_view input, size_t at);
  ReadStatus out_of_input(std::string_view input, Row& row) const;
  void make_fields(Row& row);

  uint64_t line_ = 1;
  size_t columns_ = 0;
  bool at_start_ = true;
  std::vector<Field> fields_;
  size_t row_bytes_ = 0;       // of the scanned row, without its line end
  size_t consumed_bytes_ = 0;  // with it
  size_t open_quote_ = 0;      // npos: none
  std::string unescaped_;      // values that held ""
};

}  // namespace sluice::engine::intake
