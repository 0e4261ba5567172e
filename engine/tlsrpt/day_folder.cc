#include "engine/tlsrpt/day_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "engine/report/json_writer.h"
#include "engine/tlsrpt/day_text.h"

namespace sluice::engine::tlsrpt {
namespace {

constexpr std::string_view extension = ".json";

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fdatasync(descriptor) == 0;
}

/// Null: it cannot be read, or is none.
std::optional<DayCount> read_file(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > DayFolder::file_octets_max) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<size_t>(file.gcount()));
  return parse_day(text);
}

}  // namespace

std::string DayFolder::path(Day day) const {
  return path_ + "/" + date_text(day) + std::string(extension);
}

std::map<Day, std::string> DayFolder::files() const {
  std::map<Day, std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(extension)) continue;  // as is what a crash left half written
    if (const auto day = parse_date(name.substr(0, name.size() - extension.size())))
      found.emplace(*day, entry.path());
  }
  return found;
}

DayFolder::Loaded DayFolder::load() const {
  Loaded loaded;
  for (const auto& [day, path] : files()) {
    if (auto count = read_file(path)) {
      loaded.days.emplace(day, *std::move(count));
      continue;
    }
    rename(path.c_str(), (path + ".damaged").c_str());
    loaded.damaged.push_back(path);
  }
  return loaded;
}

std::optional<DayCount> DayFolder::read(Day day) const { return read_file(path(day)); }

bool DayFolder::write(Day day, const DayCount& count) const {
  const std::string path = this->path(day), fresh = path_ + "/.new";
  if (count.domains().empty()) return unlink(path.c_str()) == 0 || errno == ENOENT;
  mkdir(path_.c_str(), 0700);
  const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return false;
  const bool is_written = write_all(descriptor, text_of(count));
  return close(descriptor) == 0 && is_written && rename(fresh.c_str(), path.c_str()) == 0;
}

std::string DayFolder::json() const {
  std::string out = "[";
  for (const auto& [day, path] : files()) {
    const auto count = read_file(path);
    if (!count) continue;
    if (out.size() > 1) out += ",\n";
    report::JsonObject object(out);
    object.string("date", date_text(day));
    append_domains(object.begin("domains"), *count);
    object.end();
  }
  return out += "]\n";
}

}  // namespace sluice::engine::tlsrpt
