#include "engine/report/log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace sluice::engine::report {

namespace {

constexpr std::string_view current_name = "transactions.jsonl";

bool is_rotated(std::string_view name) {
  if (name.starts_with("transactions-") && name.ends_with(".jsonl")) return true;
  if (!name.starts_with(current_name) || name.size() < current_name.size() + 2) return false;
  const std::string_view suffix = name.substr(current_name.size());
  return suffix[0] == '.' && suffix.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

/// The first line's time; "" when there is none.
std::string first_time(const std::string& path) {
  constexpr std::string_view start = "{\"time\":\"";
  constexpr size_t time_bytes = 27;
  std::array<char, start.size() + time_bytes> head{};
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return {};
  const ssize_t size = read(descriptor, head.data(), head.size());
  close(descriptor);
  const std::string_view text(head.data(), size > 0 ? static_cast<size_t>(size) : 0);
  return text.starts_with(start) && text.size() == head.size()
             ? std::string(text.substr(start.size()))
             : std::string();
}

}  // namespace

std::expected<std::vector<std::string>, std::string> log_files(const std::string& folder,
                                                               std::string_view since) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { closedir(d); })> directory(
      opendir(folder.c_str()));
  if (!directory) return std::unexpected(fmt::format("{}: {}", folder, std::strerror(errno)));
  std::vector<std::pair<std::string, std::string>> rotated;  // first time, path
  bool has_current = false;
  const std::string current = fmt::format("{}/{}", folder, current_name);
  while (const dirent* entry = readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    const std::string path = fmt::format("{}/{}", folder, name);
    has_current = has_current || name == current_name;
    if (is_rotated(name)) rotated.emplace_back(first_time(path), path);
  }
  std::ranges::sort(rotated);
  if (has_current) rotated.emplace_back(first_time(current), current);
  // A file ends where the next one begins, but for a second's lines of shards that had not noticed:
  // one more file is read than needs be.
  size_t begin = 0;
  for (size_t i = 0; i + 1 < rotated.size(); ++i)
    if (!rotated[i + 1].first.empty() && rotated[i + 1].first < since) begin = i;
  std::vector<std::string> paths;
  for (size_t i = begin; i < rotated.size(); ++i) paths.push_back(std::move(rotated[i].second));
  return paths;
}

LineReader::LineReader(std::string path) : path_(std::move(path)), buffer_(1024 * 1024) {
  descriptor_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) error_ = errno;
}

LineReader::~LineReader() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool LineReader::read(const std::function<void(std::string_view line)>& visit) {
  while (error_ == 0) {
    const ssize_t size = ::read(descriptor_, buffer_.data(), buffer_.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) error_ = errno;
    if (size <= 0) break;
    std::string_view rest(buffer_.data(), static_cast<size_t>(size));
    for (size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;
         rest.remove_prefix(end + 1)) {
      if (carry_.empty()) {
        visit(rest.substr(0, end));
        continue;
      }
      carry_ += rest.substr(0, end);
      visit(carry_);
      carry_.clear();
    }
    if (carry_.size() + rest.size() > line_bytes_max) carry_.clear();
    carry_ += rest;
  }
  return error_ == 0;
}

bool LineReader::was_replaced() const {
  struct stat mine{}, theirs{};
  if (descriptor_ < 0 || fstat(descriptor_, &mine) != 0) return true;
  return stat(path_.c_str(), &theirs) != 0 || mine.st_ino != theirs.st_ino ||
         mine.st_dev != theirs.st_dev;
}

}  // namespace sluice::engine::report
