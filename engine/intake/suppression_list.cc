#include "engine/intake/suppression_list.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>

#include "engine/intake/address.h"
#include "engine/intake/shown.h"

namespace sluice::engine::intake {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(blanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_email(std::string_view name) {
  return name.size() == 5 && strncasecmp(name.data(), "email", 5) == 0;
}

}  // namespace

std::expected<std::unique_ptr<SuppressionList>, ListError> SuppressionList::open(
    const std::string& path) {
  auto file = ListFile::open(path);
  if (!file) return std::unexpected(unreadable(path, file.error()));
  return std::unique_ptr<SuppressionList>(new SuppressionList(path, std::move(*file)));
}

SuppressionList::Status SuppressionList::next(std::string_view& address) {
  for (;;) {
    std::string_view text;
    switch (next_text(text)) {
      case ReadStatus::row:        break;
      case ReadStatus::bad_row:    return Status::bad_line;
      case ReadStatus::broken:     return Status::broken;
      case ReadStatus::end:        return Status::end;
      case ReadStatus::need_input: {
        const auto got = file_.read(csv_.buffer().space());
        if (!got) {
          error_ = unreadable(name_, got.error());
          return Status::broken;
        }
        if (*got == 0) csv_.buffer().finish();
        csv_.buffer().filled(*got);
        continue;
      }
    }
    text = trimmed(text);
    if (text.empty() || text.front() == '#') continue;
    std::expected<void, std::string_view> done;
    if (text.front() == '@') {
      address_ = "@";
      done = normalise_domain(text.substr(1), address_);
    } else if (const auto parts = normalise_address(text, address_); !parts) {
      done = std::unexpected(parts.error());
    }
    if (!done) {
      wrong(line_,
            fmt::format("{} is neither an address nor an @domain: {}", shown(text), done.error()),
            ReadStatus::bad_row);
      return Status::bad_line;
    }
    address = address_;
    return Status::address;
  }
}

/// The next line, or the next value of the column `email`.
ReadStatus SuppressionList::next_text(std::string_view& text) {
  if (shape_ != Shape::csv) {
    const ReadStatus status = next_line(text);
    if (status != ReadStatus::row || shape_ != Shape::csv) return status;
  }
  for (;;) {
    // The header comes again from the CSV reader: next_line() left it in the buffer.
    const bool is_header = columns_.empty();
    const ReadStatus status = is_header ? csv_.header(columns_, row_) : csv_.next(row_);
    line_ = lines_before_csv_ + row_.line;
    if (status == ReadStatus::bad_row || status == ReadStatus::broken)
      return wrong(line_, row_.reason, status);
    if (status != ReadStatus::row) return status;
    if (!is_header) {
      text = row_.fields[email_column_];
      return status;
    }
    email_column_ =
        static_cast<size_t>(std::ranges::find_if(columns_, is_email) - columns_.begin());
    if (email_column_ == columns_.size())
      return wrong(line_, "no column is named email", ReadStatus::broken);
  }
}

ReadStatus SuppressionList::next_line(std::string_view& text) {
  RowBuffer& buffer = csv_.buffer();
  const std::string_view input = buffer.pending();
  if (input.empty() && buffer.is_finished()) return ReadStatus::end;
  const size_t end = std::min(input.find('\n'), input.size());
  if (end > row_bytes_max)
    return wrong(lines_ + 1, fmt::format("a line of more than {} octets", row_bytes_max),
                 ReadStatus::broken);
  if (end == input.size() && !buffer.is_finished()) return ReadStatus::need_input;
  text = trimmed(input.substr(0, end));
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (lines_ == 0 && text.starts_with(mark)) text.remove_prefix(mark.size());
  if (shape_ == Shape::unknown && !text.empty() && text.front() != '#') {
    shape_ = is_header(text) ? Shape::csv : Shape::lines;
    lines_before_csv_ = lines_;
    if (shape_ == Shape::csv) return ReadStatus::row;
  }
  buffer.consume(std::min(end + 1, input.size()));
  line_ = ++lines_;
  return ReadStatus::row;
}

/// A first line with a field `email` and no address.
bool SuppressionList::is_header(std::string_view line) const {
  if (line.find('@') != line.npos) return false;
  for (size_t at = 0; at <= line.size();) {
    const size_t comma = std::min(line.find(',', at), line.size());
    std::string_view field = trimmed(line.substr(at, comma - at));
    if (field.size() >= 2 && field.front() == '"' && field.back() == '"')
      field = field.substr(1, field.size() - 2);
    if (is_email(field)) return true;
    at = comma + 1;
  }
  return false;
}

ReadStatus SuppressionList::wrong(uint64_t line, std::string_view reason, ReadStatus status) {
  error_ = {ListError::Kind::data, fmt::format("{}:{}: {}", name_, line, reason)};
  return status;
}

}  // namespace sluice::engine::intake
