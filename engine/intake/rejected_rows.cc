#include "engine/intake/rejected_rows.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice::engine::intake {
namespace {

/// RFC 4180 section 2: quotes around everything are always right.
void put_quoted(std::string& out, std::string_view value) {
  out.push_back('"');
  for (const char c : value) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

bool put(std::FILE* file, const std::string& line) {
  return std::fwrite(line.data(), 1, line.size(), file) == line.size();
}

}  // namespace

std::expected<std::unique_ptr<RejectedRows>, int> RejectedRows::create(
    const std::string& path, const std::vector<std::string>& columns) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return std::unexpected(errno);
  std::unique_ptr<RejectedRows> rows(new RejectedRows(path, file, !columns.empty()));
  std::string header = "reason";
  // A list has each name once; this one may itself be of rejected rows.
  while (std::ranges::find(columns, header) != columns.end()) header.insert(0, "new_");
  for (const std::string& column : columns) {
    header.push_back(',');
    put_quoted(header, column);
  }
  if (columns.empty()) header += ",row";
  header.push_back('\n');
  if (!put(file, header)) return std::unexpected(errno);
  return rows;
}

RejectedRows::~RejectedRows() {
  if (!is_kept_) ::unlink(path_.c_str());
}

std::expected<void, int> RejectedRows::add(std::string_view reason, std::string_view row) {
  std::string line;
  put_quoted(line, reason);
  line.push_back(',');
  if (rows_are_csv_) {
    line += row;
  } else {
    put_quoted(line, row);
  }
  line.push_back('\n');
  if (!put(file_.get(), line)) return std::unexpected(errno);
  return {};
}

std::expected<void, int> RejectedRows::flush() {
  if (std::fflush(file_.get()) != 0) return std::unexpected(errno);
  return {};
}

}  // namespace sluice::engine::intake
