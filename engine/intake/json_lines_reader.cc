#include "engine/intake/json_lines_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/intake/shown.h"

namespace sluice::engine::intake {
namespace {

static_assert(RowBuffer::padding >= simdjson::SIMDJSON_PADDING);

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string no_json(simdjson::error_code code) {
  if (code == simdjson::UTF8_ERROR) return "not UTF-8";
  return fmt::format("no JSON object: {}", simdjson::error_message(code));
}

}  // namespace

ReadStatus JsonLinesReader::header(std::vector<std::string>& names, Row& row) {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (at_start_) {
    if (buffer_.pending().size() < mark.size() && !buffer_.is_finished())
      return ReadStatus::need_input;
    if (buffer_.pending().starts_with(mark)) buffer_.consume(mark.size());
    at_start_ = false;
  }
  const ReadStatus status = next_line(row);
  if (status != ReadStatus::row) return status;
  if (row.raw.starts_with('[')) {
    row.reason = "a JSON array; JSON Lines has one object a line";
    return ReadStatus::broken;
  }
  names_.clear();
  if (!parse(row, &names_)) return ReadStatus::broken;
  names = names_;
  return ReadStatus::row;  // the line was not consumed: it is a row, too
}

ReadStatus JsonLinesReader::next(Row& row) {
  const ReadStatus status = next_line(row);
  if (status != ReadStatus::row) return status;
  const bool is_good = parse(row, nullptr);
  const size_t end = buffer_.pending().find('\n');
  buffer_.consume(end == std::string_view::npos ? buffer_.pending().size() : end + 1);
  ++line_;
  return is_good ? ReadStatus::row : ReadStatus::bad_row;
}

/// Passes over empty lines; then row.raw is the line at the front of the buffer, which still holds
/// it.
ReadStatus JsonLinesReader::next_line(Row& row) {
  for (;;) {
    const std::string_view input = buffer_.pending();
    row.line = line_;
    if (input.empty() && buffer_.is_finished()) return ReadStatus::end;
    const size_t end = std::min(input.find('\n'), input.size());
    if (end > row_bytes_max) {
      row.reason = fmt::format("a row of more than {} octets", row_bytes_max);
      return ReadStatus::broken;
    }
    if (end == input.size() && !buffer_.is_finished()) return ReadStatus::need_input;
    row.raw = trimmed(input.substr(0, end));
    if (!row.raw.empty()) return ReadStatus::row;
    buffer_.consume(std::min(end + 1, input.size()));
    ++line_;
  }
}

/// Fills row.fields; with `names`, that gathers the names of the columns instead. False: row.reason
/// says why not.
bool JsonLinesReader::parse(Row& row, std::vector<std::string>* names) {
  const auto offset = static_cast<size_t>(row.raw.data() - buffer_.pending().data());
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  auto code =
      parser_.iterate(row.raw.data(), row.raw.size(), buffer_.readable() - offset).get(document);
  if (code == simdjson::SUCCESS) code = document.get_object().get(object);
  row.fields.assign(names_.size(), {});
  seen_.assign(names_.size(), false);
  size_t fields = 0;
  if (code == simdjson::SUCCESS) {
    for (auto member : object) {
      simdjson::ondemand::field field;
      std::string_view key, text;
      if ((code = std::move(member).get(field)) != simdjson::SUCCESS) break;
      if ((code = field.unescaped_key().get(key)) != simdjson::SUCCESS) break;
      if (!value_text(field.value(), text, row)) {
        row.reason = fmt::format("{}: {}", shown(key), row.reason);
        return false;
      }
      if (names != nullptr) {
        names->emplace_back(key);
        continue;
      }
      const size_t column = column_of(key, fields);
      if (column == names_.size() || seen_[column]) {
        row.reason = shown(key) + (column == names_.size() ? " is no key of the first object"
                                                           : " is there twice");
        return false;
      }
      seen_[column] = true;
      row.fields[column] = text;
      ++fields;
    }
  }
  const char* rest = nullptr;  // beyond the object there must be nothing: OUT_OF_BOUNDS
  if (code == simdjson::SUCCESS && document.current_location().get(rest) == simdjson::SUCCESS) {
    row.reason = "text behind the object";
    return false;
  }
  if (code != simdjson::SUCCESS) {
    row.reason = no_json(code);
    return false;
  }
  if (names == nullptr && fields < names_.size()) {
    const auto missing = static_cast<size_t>(std::ranges::find(seen_, false) - seen_.begin());
    row.reason =
        fmt::format("{} is missing; write null for an empty value", shown(names_[missing]));
    return false;
  }
  return true;
}

bool JsonLinesReader::value_text(simdjson::ondemand::value& value, std::string_view& text,
                                 Row& row) {
  simdjson::ondemand::json_type type{};
  auto code = value.type().get(type);
  if (code == simdjson::SUCCESS) {
    switch (type) {
      case simdjson::ondemand::json_type::string: code = value.get_string().get(text); break;
      case simdjson::ondemand::json_type::number: {
        text = trimmed(value.raw_json_token());
        double number = 0;
        code = value.get_double().get(number);
        break;
      }
      case simdjson::ondemand::json_type::boolean: {
        bool is_true = false;
        code = value.get_bool().get(is_true);
        text = is_true ? "true" : "";
        break;
      }
      case simdjson::ondemand::json_type::null: {
        bool is_null = false;
        code = value.is_null().get(is_null);
        if (code == simdjson::SUCCESS && !is_null) code = simdjson::N_ATOM_ERROR;
        text = {};
        break;
      }
      default:
        row.reason = "a nested value; a merge field is a string, a number, true, false or null";
        return false;
    }
  }
  if (code != simdjson::SUCCESS) row.reason = no_json(code);
  return code == simdjson::SUCCESS;
}

/// Objects of a list have their keys in the same order, nearly always.
size_t JsonLinesReader::column_of(std::string_view key, size_t guess) const {
  if (guess < names_.size() && names_[guess] == key) return guess;
  return static_cast<size_t>(std::ranges::find(names_, key) - names_.begin());
}

}  // namespace sluice::engine::intake
