#include "engine/intake/csv_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::engine::intake {
namespace {

constexpr size_t npos = std::string_view::npos;

constexpr std::array<bool, 256> ends_unquoted = [] {
  std::array<bool, 256> ends{};
  ends[','] = ends['\n'] = ends['\r'] = true;
  return ends;
}();

uint64_t newlines(std::string_view text) {
  return static_cast<uint64_t>(std::ranges::count(text, '\n'));
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

ReadStatus CsvReader::header(std::vector<std::string>& names, Row& row) {
  if (at_start_) {
    constexpr std::string_view mark = "\xef\xbb\xbf";
    const std::string_view input = buffer_.pending();
    if (input.size() < mark.size() && !buffer_.is_finished()) return ReadStatus::need_input;
    if (input.starts_with("\xff\xfe") || input.starts_with("\xfe\xff")) {
      row.line = 1;
      row.reason = "this is UTF-16; save the list as UTF-8";
      return ReadStatus::broken;
    }
    if (input.starts_with(mark)) buffer_.consume(mark.size());
    at_start_ = false;
  }
  const ReadStatus status = read_row(row);
  if (status != ReadStatus::row) return status == ReadStatus::bad_row ? ReadStatus::broken : status;
  names.clear();
  for (const std::string_view field : row.fields) names.emplace_back(trimmed(field));
  columns_ = names.size();
  return ReadStatus::row;
}

ReadStatus CsvReader::next(Row& row) {
  const ReadStatus status = read_row(row);
  if (status != ReadStatus::row || row.fields.size() == columns_) return status;
  row.reason = fmt::format("{} {} where the header has {}", row.fields.size(),
                           row.fields.size() == 1 ? "field" : "fields", columns_);
  return ReadStatus::bad_row;
}

ReadStatus CsvReader::read_row(Row& row) {
  for (;;) {
    const std::string_view input = buffer_.pending();
    row.line = line_;
    if (input.empty() && buffer_.is_finished()) return ReadStatus::end;
    const Scan scan = scan_row(input, row);
    if (scan == Scan::incomplete) return out_of_input(input, row);
    row.raw = input.substr(0, row_bytes_);
    if (row_bytes_ > row_bytes_max) return out_of_input(input, row);
    buffer_.consume(consumed_bytes_);
    line_ += newlines(input.substr(0, consumed_bytes_));
    if (scan == Scan::bad) return ReadStatus::bad_row;
    if (row.raw.empty()) continue;
    make_fields(row);
    return ReadStatus::row;
  }
}

/// Finds where the row at the start of `input` and its fields end.
CsvReader::Scan CsvReader::scan_row(std::string_view input, Row& row) {
  fields_.clear();
  open_quote_ = npos;
  size_t at = 0;
  for (;;) {
    if (at < input.size() && input[at] == '"') {
      const Scan scan = scan_quoted(input, at, row);
      if (scan != Scan::complete) return scan;
    } else {
      const size_t begin = at;
      while (at < input.size() && !ends_unquoted[static_cast<uint8_t>(input[at])]) ++at;
      fields_.push_back({begin, at, false});
    }
    if (at == input.size()) {
      if (!buffer_.is_finished()) return Scan::incomplete;
      row_bytes_ = consumed_bytes_ = at;
      return Scan::complete;
    }
    if (input[at] == ',') {
      ++at;
      continue;
    }
    const size_t end = at;
    if (input[at] == '\r') {
      if (++at == input.size() && !buffer_.is_finished()) return Scan::incomplete;
      if (at < input.size() && input[at] != '\n') {
        row.reason = "a bare carriage return; rows end with LF or CRLF";
        return scan_to_line_end(input, at);
      }
    }
    row_bytes_ = end;
    consumed_bytes_ = std::min(at + 1, input.size());
    return Scan::complete;
  }
}

/// From the opening quote at `at` to what follows the closing one.
CsvReader::Scan CsvReader::scan_quoted(std::string_view input, size_t& at, Row& row) {
  open_quote_ = at;
  Field field{.begin = at + 1, .end = 0, .has_escape = false};
  for (size_t from = field.begin;;) {
    const size_t quote = input.find('"', from);
    if (quote == npos) return Scan::incomplete;
    at = quote + 1;
    if (at == input.size() && !buffer_.is_finished()) return Scan::incomplete;
    if (at == input.size() || input[at] != '"') {
      field.end = quote;
      break;
    }
    field.has_escape = true;
    from = at + 1;
  }
  open_quote_ = npos;
  fields_.push_back(field);
  if (at < input.size() && !ends_unquoted[static_cast<uint8_t>(input[at])]) {
    row.reason = "text behind a closing quote; a quote inside a quoted field is written twice";
    return scan_to_line_end(input, at);
  }
  return Scan::complete;
}

/// A bad row ends with its line.
CsvReader::Scan CsvReader::scan_to_line_end(std::string_view input, size_t at) {
  const size_t end = input.find('\n', at);
  if (end == npos && !buffer_.is_finished()) return Scan::incomplete;
  row_bytes_ = std::min(end, input.size());
  consumed_bytes_ = std::min(row_bytes_ + 1, input.size());
  if (row_bytes_ > 0 && input[row_bytes_ - 1] == '\r') --row_bytes_;
  return Scan::bad;
}

ReadStatus CsvReader::out_of_input(std::string_view input, Row& row) const {
  if (input.size() <= row_bytes_max && !buffer_.is_finished()) return ReadStatus::need_input;
  if (open_quote_ == npos) {
    row.reason = fmt::format("a row of more than {} octets", row_bytes_max);
  } else {
    row.line += newlines(input.substr(0, open_quote_));
    row.reason = "a quote opens here and is not closed";
    if (!buffer_.is_finished()) row.reason += fmt::format(" within {} octets", row_bytes_max);
  }
  return ReadStatus::broken;
}

void CsvReader::make_fields(Row& row) {
  unescaped_.clear();
  unescaped_.reserve(row.raw.size());  // so that views into it stay
  row.fields.clear();
  for (const Field& field : fields_) {
    std::string_view value = row.raw.substr(field.begin, field.end - field.begin);
    if (field.has_escape) {
      const size_t start = unescaped_.size();
      for (size_t i = 0; i < value.size(); ++i) {
        unescaped_.push_back(value[i]);
        if (value[i] == '"') ++i;
      }
      value = std::string_view(unescaped_).substr(start);
    }
    row.fields.push_back(value);
  }
}

}  // namespace sluice::engine::intake
