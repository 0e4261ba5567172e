#pragma once

#include <cstdio>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::intake {

/// The rows that `--skip-invalid` left out, as a list of their own: first a column with the reason,
/// then the row as it was written, so that it can be mended and sent. Of JSON Lines the whole row
/// is one column. Removed again unless keep() is called. Errors are errnos.
class RejectedRows {
 public:
  /// `columns`: the list's; of JSON Lines empty.
  static std::expected<std::unique_ptr<RejectedRows>, int> create(
      const std::string& path, const std::vector<std::string>& columns);
  ~RejectedRows();

  std::expected<void, int> add(std::string_view reason, std::string_view row);
  std::expected<void, int> flush();
  void keep() { is_kept_ = true; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  RejectedRows(std::string path, std::FILE* file, bool rows_are_csv)
      : path_(std::move(path)), file_(file), rows_are_csv_(rows_are_csv) {}

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  bool rows_are_csv_;
  bool is_kept_ = false;
};

}  // namespace sluice::engine::intake
