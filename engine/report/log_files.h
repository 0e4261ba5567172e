#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::report {

/// The files of a transaction log's folder, oldest first: those rotated away by the engine
/// (transactions-TIME.jsonl) or by logrotate (transactions.jsonl.N), then transactions.jsonl. With
/// `since` (as lines have their times) those that end before it are left out.
std::expected<std::vector<std::string>, std::string> log_files(const std::string& folder,
                                                               std::string_view since);

/// Reads a file's lines as they are there; keeps its place, so that reading may go on when the file
/// has grown.
class LineReader {
 public:
  static constexpr size_t line_bytes_max =
      1024 * 1024;  // a longer one is no line of ours, and dropped

  explicit LineReader(std::string path);
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;
  ~LineReader();

  /// 0 when it is open, else an errno.
  int error() const { return error_; }
  /// Visits each whole line up to the present end, without its '\n'. False: the file cannot be read
  /// (see error()).
  bool read(const std::function<void(std::string_view line)>& visit);
  /// Another file, or none, has this one's name now.
  bool was_replaced() const;

 private:
  const std::string path_;
  int descriptor_ = -1, error_ = 0;
  std::string carry_;  // the beginning of a line
  std::vector<char> buffer_;
};

}  // namespace sluice::engine::report
