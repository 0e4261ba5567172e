#include "engine/intake/recipient_list.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/campaign_message.h"
#include "engine/intake/address.h"
#include "engine/intake/csv_reader.h"
#include "engine/intake/json_lines_reader.h"
#include "engine/intake/shown.h"

namespace sluice::engine::intake {
namespace {

// What a value's octets are, or-ed together: one look at each octet answers all questions.
constexpr uint8_t is_8bit = 1, is_newline = 2, is_nul = 4, is_special = 8;

constexpr std::array<uint8_t, 256> octet_kinds = [] {
  std::array<uint8_t, 256> kinds{};
  kinds.fill(is_special);
  for (unsigned c = 0; c < 128; ++c) {
    const bool is_alnum =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (is_alnum) kinds[c] = 0;
  }
  for (const char c : std::string_view(" .,@_+-")) kinds[static_cast<uint8_t>(c)] = 0;
  for (unsigned c = 128; c < 256; ++c) kinds[c] |= is_8bit;
  kinds['\r'] |= is_newline;
  kinds['\n'] |= is_newline;
  kinds[0] |= is_nul;
  return kinds;
}();

uint8_t kinds_of(std::string_view value) {
  uint8_t kinds = 0;
  for (const char c : value) kinds |= octet_kinds[static_cast<uint8_t>(c)];
  return kinds;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool ends_with_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         equals_ignoring_case(text.substr(text.size() - end.size()), end);
}

std::string_view without_blanks(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool looks_like_json(const std::string& path, std::string_view start) {
  for (const std::string_view end : {".jsonl", ".ndjson", ".json"}) {
    if (ends_with_ignoring_case(path, end)) return true;
  }
  if (ends_with_ignoring_case(path, ".csv")) return false;
  const size_t first = start.find_first_not_of("\xef\xbb\xbf \t\r\n");
  return first != start.npos && start[first] == '{';
}

}  // namespace

std::expected<std::unique_ptr<RecipientList>, ListError> RecipientList::open(
    const std::string& path) {
  auto file = ListFile::open(path);
  if (!file) return std::unexpected(unreadable(path, file.error()));
  return read(std::move(*file), path == "-" ? "standard input" : path);
}

std::expected<std::unique_ptr<RecipientList>, ListError> RecipientList::read(ListFile file,
                                                                             std::string name) {
  std::unique_ptr<RecipientList> list(new RecipientList(std::move(name), std::move(file)));
  if (auto done = list->read_header(); !done) return std::unexpected(std::move(done.error()));
  if (auto done = list->check_columns(); !done) return std::unexpected(std::move(done.error()));
  return list;
}

std::expected<void, ListError> RecipientList::read_header() {
  // The format is known only after the first octets: they are read into a CSV reader, and handed on
  // if it is the wrong one.
  reader_ = std::make_unique<CsvReader>();
  if (auto done = fill(); !done) return done;
  const std::string_view start = reader_->buffer().pending();
  is_json_ = looks_like_json(name_, start);
  if (is_json_) {
    auto json = std::make_unique<JsonLinesReader>();
    std::memcpy(json->buffer().space().data(), start.data(), start.size());
    json->buffer().filled(start.size());
    if (reader_->buffer().is_finished()) json->buffer().finish();
    reader_ = std::move(json);
  }
  for (;;) {
    switch (reader_->header(columns_, row_)) {
      case ReadStatus::row: return {};
      case ReadStatus::need_input:
        if (auto done = fill(); !done) return done;
        break;
      case ReadStatus::end:
        return std::unexpected(
            ListError{ListError::Kind::data, fmt::format("{}: the list is empty", name_)});
      case ReadStatus::bad_row:
      case ReadStatus::broken:  return std::unexpected(at_row(ListError::Kind::data, row_.reason));
    }
  }
}

std::expected<void, ListError> RecipientList::check_columns() {
  const auto wrong = [&](std::string_view reason) {
    return std::unexpected(at_row(ListError::Kind::data, reason));
  };
  if (columns_.size() > CampaignMessage::columns_max) {
    return wrong(
        fmt::format("{} columns; {} are the most", columns_.size(), CampaignMessage::columns_max));
  }
  email_column_ = columns_.size();
  for (size_t i = 0; i < columns_.size(); ++i) {
    std::string& name = columns_[i];
    const uint8_t kinds = kinds_of(name);
    if ((kinds & is_8bit) != 0 && !simdjson::validate_utf8(name))
      return wrong(fmt::format("the name of column {} is not UTF-8", i + 1));
    if (name.empty()) return wrong(fmt::format("column {} has no name", i + 1));
    if (name.size() > CampaignMessage::text_bytes_max || (kinds & (is_nul | is_newline)) != 0) {
      return wrong(fmt::format("{} cannot be the name of a column", shown(name)));
    }
    if (equals_ignoring_case(name, "email")) name = "email";
    if (std::find(columns_.begin(), columns_.begin() + static_cast<ptrdiff_t>(i), name) !=
        columns_.begin() + static_cast<ptrdiff_t>(i)) {
      return wrong(fmt::format("column {} is there twice", shown(name)));
    }
    if (name == "email") email_column_ = i;
  }
  if (email_column_ == columns_.size()) {
    std::string reason = "no column is named email";
    if (columns_.size() == 1 && columns_[0].find_first_of(";\t") != std::string::npos) {
      reason += "; columns are separated by commas (RFC 4180)";
    } else {
      reason += "; there are";
      for (size_t i = 0; i < std::min(columns_.size(), size_t{8}); ++i)
        reason += (i == 0 ? " " : ", ") + shown(columns_[i]);
    }
    return wrong(reason);
  }
  statistics_.resize(columns_.size());
  return {};
}

std::expected<void, ListError> RecipientList::fill() {
  const auto got = file_.read(reader_->buffer().space());
  if (!got) return std::unexpected(unreadable(name_, got.error()));
  if (*got == 0) reader_->buffer().finish();
  reader_->buffer().filled(*got);
  bytes_read_ += *got;
  return {};
}

RecipientList::Status RecipientList::next(ListEntry& entry) {
  for (;;) {
    switch (reader_->next(row_)) {
      case ReadStatus::row:
        ++rows_;
        if (make_entry(entry)) return Status::entry;
        error_ = at_row(ListError::Kind::data, row_.reason);
        return Status::bad_row;
      case ReadStatus::bad_row:
        ++rows_;
        error_ = at_row(ListError::Kind::data, row_.reason);
        return Status::bad_row;
      case ReadStatus::need_input:
        if (auto done = fill(); !done) {
          error_ = std::move(done.error());
          return Status::broken;
        }
        break;
      case ReadStatus::end: return Status::end;
      case ReadStatus::broken:
        error_ = at_row(ListError::Kind::data, row_.reason);
        return Status::broken;
    }
  }
}

/// From the fields of row_. False: row_.reason says why not.
bool RecipientList::make_entry(ListEntry& entry) {
  const std::string_view written = without_blanks(row_.fields[email_column_]);
  if (!is_good_value(email_column_, written, kinds_of(written))) return false;
  const auto parts = normalise_address(written, address_);
  if (!parts) {
    row_.reason = fmt::format("{} is not an address: {}", shown(written), parts.error());
    return false;
  }
  uint8_t octets = kinds_of(address_);
  statistics_[email_column_].has_8bit |= (octets & is_8bit) != 0;

  recipient_.fields.clear();
  for (size_t i = 0; i < row_.fields.size(); ++i) {
    if (i == email_column_) continue;
    const uint8_t kinds = kinds_of(row_.fields[i]);
    if (!is_good_value(i, row_.fields[i], kinds)) return false;
    octets |= kinds;
    // The row may yet turn out bad: statistics may say too much, never too little.
    statistics_[i].has_8bit |= (kinds & is_8bit) != 0;
    statistics_[i].has_newline |= (kinds & is_newline) != 0;
    recipient_.fields.push_back(row_.fields[i]);
  }
  recipient_.address = address_;
  recipient_.flags = static_cast<uint8_t>(((octets & is_8bit) != 0 ? Recipient::needs_8bit : 0) |
                                          (parts->needs_smtputf8 ? Recipient::needs_smtputf8 : 0) |
                                          (octets == 0 ? Recipient::is_plain : 0));
  encoded_.clear();
  recipient_.encode(encoded_);
  if (encoded_.size() > spool::entry_bytes_max) {
    row_.reason = fmt::format("its values take more than {} octets", spool::entry_bytes_max);
    return false;
  }

  for (size_t i = 0; i < row_.fields.size(); ++i) {
    const std::string_view value = i == email_column_ ? std::string_view(address_) : row_.fields[i];
    statistics_[i].bytes_max =
        std::max(statistics_[i].bytes_max, static_cast<uint32_t>(value.size()));
  }
  recipients_need_ |= recipient_.flags & (Recipient::needs_8bit | Recipient::needs_smtputf8);
  const size_t address_at = 1 + (address_.size() < 128 ? 1 : 2);
  entry = {.encoded = encoded_,
           .address = std::string_view(encoded_).substr(address_at, address_.size()),
           .local_bytes = parts->local_bytes};
  return true;
}

/// False: row_.reason says why not. `kinds` are those of `value`.
bool RecipientList::is_good_value(size_t column, std::string_view value, uint8_t kinds) {
  if ((kinds & (is_8bit | is_newline | is_nul)) == 0) return true;
  const auto wrong = [&](std::string_view reason) {
    row_.reason = fmt::format("column {}: {}", shown(columns_[column]), reason);
    return false;
  };
  if ((kinds & is_nul) != 0) return wrong("a NUL octet");
  if ((kinds & is_8bit) != 0 && !simdjson::validate_utf8(value.data(), value.size())) {
    return wrong("not UTF-8; convert the list, e.g. with iconv -f latin1 -t utf-8");
  }
  if ((kinds & is_newline) != 0) {
    const size_t field = column - (column > email_column_ ? 1 : 0);
    if (column == email_column_) return wrong("a line break in an address");
    if (field < newline_forbidden_.size() && newline_forbidden_[field]) {
      return wrong("a line break, and the message uses it in a header");
    }
  }
  return true;
}

ListError RecipientList::at_row(ListError::Kind kind, std::string_view reason) const {
  return {kind, fmt::format("{}:{}: {}", name_, row_.line, reason)};
}

}  // namespace sluice::engine::intake
