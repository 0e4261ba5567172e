#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "engine/intake/csv_reader.h"
#include "engine/intake/list_file.h"

namespace sluice::engine::intake {

/// Who is not to get mail: a file with an address or an `@domain` a line, or a CSV list with a
/// column `email` of them. Lines that begin with `#` are comments. Memory: one RowBuffer.
class SuppressionList {
 public:
  static std::expected<std::unique_ptr<SuppressionList>, ListError> open(const std::string& path);

  enum class Status : uint8_t { address, bad_line, end, broken };
  /// `address` in normal form, valid until the next call. `bad_line`: the next one can be read.
  /// `broken`: error() says why no more can be.
  Status next(std::string_view& address);
  const ListError& error() const { return error_; }

 private:
  enum class Shape : uint8_t { unknown, lines, csv };
  SuppressionList(std::string name, ListFile file)
      : name_(std::move(name)), file_(std::move(file)) {}
  ReadStatus next_text(std::string_view& text);
  ReadStatus next_line(std::string_view& text);
  bool is_header(std::string_view line) const;
  ReadStatus wrong(uint64_t line, std::string_view reason, ReadStatus status);

  std::string name_;
  ListFile file_;
  Shape shape_ = Shape::unknown;
  CsvReader csv_;  // its buffer serves for lines, too
  Row row_;
  std::vector<std::string> columns_;
  size_t email_column_ = 0;
  uint64_t lines_ = 0;  // read as such
  uint64_t lines_before_csv_ = 0;
  uint64_t line_ = 0;  // of the text at hand
  std::string address_;
  ListError error_;
};

}  // namespace sluice::engine::intake
