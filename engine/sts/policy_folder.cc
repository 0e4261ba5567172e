#include "engine/sts/policy_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "engine/config_value.h"

namespace sluice::engine::sts {
namespace {

constexpr std::string_view version = "sluice-sts 1";
constexpr size_t head_bytes_max = 256;

int64_t seconds_of(io::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<io::WallTime> time_of(std::string_view line) {
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), seconds);
  // Within what nanoseconds of 64 bits can tell.
  constexpr int64_t seconds_max = 9'000'000'000;
  if (error != std::errc() || end != line.data() + line.size() || seconds < 0 ||
      seconds > seconds_max)
    return std::nullopt;
  return io::WallTime(std::chrono::seconds(seconds));
}

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return fdatasync(descriptor) == 0;
}

}  // namespace

std::string text_of(const KeptPolicy& kept) {
  return fmt::format("{}\n{}\n{}\n{}\n{}", version, kept.id, seconds_of(kept.fetched),
                     seconds_of(kept.expires), kept.policy->text);
}

std::optional<KeptPolicy> parse_kept(std::string_view text) {
  if (take_line(text) != version) return std::nullopt;
  KeptPolicy kept{.id = std::string(take_line(text))};
  const auto fetched = time_of(take_line(text)), expires = time_of(take_line(text));
  auto policy = parse_policy(text);
  if (!fetched || !expires || !policy) return std::nullopt;
  kept.fetched = *fetched;
  kept.expires = *expires;
  kept.policy = std::make_shared<const Policy>(*std::move(policy));
  return kept;
}

std::map<std::string, KeptPolicy> PolicyFolder::load(io::WallTime now) const {
  std::map<std::string, KeptPolicy> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string domain = entry.path().filename();
    auto kept = read(domain);
    if (kept && kept->expires > now)
      found.emplace(domain, *std::move(kept));
    else
      unlink(entry.path().c_str());
  }
  return found;
}

std::optional<KeptPolicy> PolicyFolder::read(const std::string& domain) const {
  if (!is_hostname(domain)) return std::nullopt;  // nor is what a crash left half written
  std::ifstream file(path_ + "/" + domain, std::ios::binary);
  std::string text(head_bytes_max + Policy::bytes_max, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  return parse_kept(text);
}

bool PolicyFolder::write(const std::string& domain, const KeptPolicy& kept) const {
  if (!is_hostname(domain)) return false;
  mkdir(path_.c_str(), 0700);
  const std::string fresh = path_ + "/.new", path = path_ + "/" + domain;
  const int descriptor = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) return false;
  const bool is_written = write_all(descriptor, text_of(kept));
  return close(descriptor) == 0 && is_written && rename(fresh.c_str(), path.c_str()) == 0;
}

}  // namespace sluice::engine::sts
