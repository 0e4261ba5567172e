#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/intake/list_file.h"
#include "engine/intake/row_reader.h"
#include "engine/mail/template.h"
#include "engine/recipient.h"

namespace sluice::engine::intake {

/// A row as the spool will hold it. Views are valid until the next call.
struct ListEntry {
  std::string_view encoded;  // Recipient::encode()
  std::string_view address;  // in it; normalised
  size_t local_bytes = 0;
};

/// A recipient list, CSV or JSON Lines, read row by row: addresses normalised, values checked,
/// columns' statistics gathered. Memory: one RowBuffer and one row, whatever the length of the
/// list.
class RecipientList {
 public:
  /// Opens `path` ("-": standard input) and reads its header. The format goes by the name's ending
  /// (.csv; .jsonl, .ndjson, .json), else by the first octet: `{` begins JSON Lines.
  static std::expected<std::unique_ptr<RecipientList>, ListError> open(const std::string& path);

  /// The same with a list that is open or at hand; `name` for errors, and for the format.
  static std::expected<std::unique_ptr<RecipientList>, ListError> read(ListFile file,
                                                                       std::string name);

  /// Names of the columns in their order, `email` (however it was capitalised) among them.
  const std::vector<std::string>& columns() const { return columns_; }
  /// Columns (counted without `email`) whose values may not hold CR or LF.
  void forbid_newlines(std::vector<bool> columns) { newline_forbidden_ = std::move(columns); }

  enum class Status : uint8_t { entry, bad_row, end, broken };
  /// `bad_row`: the next one can be read. `broken`: error() says why no more can be.
  Status next(ListEntry& entry);

  /// Of a bad row: `list.csv:17: reason`, the reason alone, and the row as written.
  const ListError& error() const { return error_; }
  std::string_view bad_row_reason() const { return row_.reason; }
  std::string_view bad_row() const { return row_.raw; }

  bool is_json() const { return is_json_; }
  const std::string& name() const { return name_; }  // for messages
  uint64_t rows() const { return rows_; }
  uint64_t bytes_read() const { return bytes_read_; }

  /// One a column, of all entries so far.
  const std::vector<mail::ColumnStatistics>& statistics() const { return statistics_; }
  /// What at least one entry so far needs: Recipient::needs_8bit, needs_smtputf8.
  uint8_t recipients_need() const { return recipients_need_; }

 private:
  RecipientList(std::string name, ListFile file) : name_(std::move(name)), file_(std::move(file)) {}
  std::expected<void, ListError> read_header();
  std::expected<void, ListError> check_columns();
  std::expected<void, ListError> fill();
  bool make_entry(ListEntry& entry);
  bool is_good_value(size_t column, std::string_view value, uint8_t kinds);
  ListError at_row(ListError::Kind kind, std::string_view reason) const;

  std::string name_;
  ListFile file_;
  bool is_json_ = false;
  std::unique_ptr<RowReader> reader_;
  Row row_;
  std::vector<std::string> columns_;
  size_t email_column_ = 0;
  std::vector<bool> newline_forbidden_;
  std::vector<mail::ColumnStatistics> statistics_;
  uint8_t recipients_need_ = 0;
  uint64_t rows_ = 0, bytes_read_ = 0;
  ListError error_;
  Recipient recipient_;
  std::string address_, encoded_;
};

}  // namespace sluice::engine::intake
