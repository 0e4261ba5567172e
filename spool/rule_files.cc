#include "spool/rule_files.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "spool/disk_error.h"
#include "spool/spool_folder.h"
#include "spool/temporary_file.h"

namespace sluice::spool {
namespace {

constexpr size_t time_digits = 20, random_digits = 16;

bool is_all_of(std::string_view text, std::string_view digits) {
  return text.find_first_not_of(digits) == text.npos;
}

uint64_t time_of(std::string_view rule_name) {
  uint64_t since_1970_ns = 0;
  std::from_chars(rule_name.data(), rule_name.data() + time_digits, since_1970_ns);
  return since_1970_ns;
}

/// Behind all rules of `folder`, by the clock where that is later.
std::expected<std::string, Error> next_name(io::Proactor& proactor, const std::string& folder) {
  io::ListDirectory list;
  list.path = folder;
  if (const int32_t listed = io::run(proactor, list); listed < 0)
    return std::unexpected(disk_error("list the rules", folder, listed));
  auto since_1970_ns = static_cast<uint64_t>(proactor.wall().time_since_epoch().count());
  for (const std::string& name : list.names)
    if (is_rule_name(name)) since_1970_ns = std::max(since_1970_ns, time_of(name) + 1);
  return fmt::format("{:020}-{:016x}", since_1970_ns, proactor.random());
}

class Reading {
 public:
  Reading(io::Proactor& proactor, const std::string& path, RuleCallback callback)
      : proactor_(proactor), callback_(std::move(callback)) {
    open_.path = path;
    open_.flags = O_RDONLY | O_NOFOLLOW;
    open_.bind<&Reading::opened>(this);
    proactor_.submit(open_);
  }

 private:
  void opened(io::Open&, const io::Completion& completion) {
    if (completion.result < 0) {
      result_ = std::unexpected(disk_error("open", open_.path, completion.result));
      return finish();
    }
    read_.file = close_.file = open_.file;
    text_.resize(rule_bytes_max + 1);
    read_.bytes = std::as_writable_bytes(std::span(text_));
    read_.bind<&Reading::read>(this);
    proactor_.submit(read_);
  }
  void read(io::Read&, const io::Completion& completion) {
    if (completion.result < 0) {
      result_ = std::unexpected(disk_error("read", open_.path, completion.result));
    } else if (static_cast<size_t>(completion.result) > rule_bytes_max) {
      result_ = std::unexpected(Error{
          ErrorCode::damaged, 0, fmt::format("{}: is over 1 MiB; that is no rule", open_.path)});
    } else {
      text_.resize(static_cast<size_t>(completion.result));
      text_.shrink_to_fit();
      result_ = RuleFile{open_.path.substr(open_.path.rfind('/') + 1), std::move(text_)};
    }
    close_.bind<&Reading::closed>(this);
    proactor_.submit(close_);
  }
  void closed(io::CloseFile&, const io::Completion&) { finish(); }
  void finish() {
    const std::unique_ptr<Reading> self(this);
    callback_(std::move(result_));
  }

  io::Proactor& proactor_;
  RuleCallback callback_;
  io::Open open_;
  io::Read read_;
  io::CloseFile close_;
  std::string text_;
  std::expected<RuleFile, Error> result_;
};

}  // namespace

bool is_rule_name(std::string_view name) {
  if (name.size() != time_digits + 1 + random_digits || name[time_digits] != '-') return false;
  // Of 2554 and later no nanoseconds fit.
  return is_all_of(name.substr(0, time_digits), "0123456789") && name[0] == '0' &&
         is_all_of(name.substr(time_digits + 1), "0123456789abcdef");
}

std::expected<std::string, Error> hand_off_rule(io::Proactor& proactor, const std::string& spool,
                                                std::string_view text) {
  if (text.size() > rule_bytes_max)
    return std::unexpected(Error{ErrorCode::not_allowed, 0,
                                 "the rule names too many recipients one by one (over 1 MiB): "
                                 "select them by campaign or destination"});
  if (auto made = make_spool_folder(proactor, spool, {rules_folder}); !made)
    return std::unexpected(made.error());
  const std::string folder = fmt::format("{}/{}", spool, rules_folder);
  TemporaryFile file(proactor);
  if (auto created = file.create(folder, rule_prefix); !created)
    return std::unexpected(created.error());
  if (const int32_t result = file.write(std::as_bytes(std::span(text)), 0); result < 0)
    return std::unexpected(disk_error("write a rule", folder, result));
  if (const int32_t result = file.sync(); result < 0)
    return std::unexpected(disk_error("sync a rule", folder, result));
  const auto name = next_name(proactor, folder);
  if (!name) return name;
  if (const int32_t result = file.hand_over(folder + "/" + *name); result < 0)
    return std::unexpected(disk_error("hand a rule over", folder, result));
  io::SyncDirectory sync;
  sync.path = folder;
  if (const int32_t result = io::run(proactor, sync); result < 0)
    return std::unexpected(disk_error("sync the folder", folder, result));
  return name;
}

std::expected<RuleFiles, Error> read_rules(io::Proactor& proactor, const std::string& spool) {
  io::ListDirectory list;
  list.path = fmt::format("{}/{}", spool, rules_folder);
  const int32_t listed = io::run(proactor, list);
  if (listed == -ENOENT) return RuleFiles{};
  if (listed < 0) return std::unexpected(disk_error("list the rules", list.path, listed));
  RuleFiles out;
  for (const std::string& name : list.names) {
    if (name.starts_with('.')) continue;
    const std::string path = list.path + "/" + name;
    if (!is_rule_name(name)) {
      out.unreadable.push_back(
          {ErrorCode::damaged, 0, fmt::format("{}: not named like a rule; left alone", path)});
      continue;
    }
    std::optional<std::expected<RuleFile, Error>> result;
    read_rule(proactor, path, [&](auto r) { result = std::move(r); });
    while (!result) proactor.wait(io::never, 64);
    if (*result)
      out.files.push_back(std::move(**result));
    else if (result->error().code != ErrorCode::missing)
      out.unreadable.push_back(std::move(result->error()));
  }
  return out;
}

void read_rule(io::Proactor& proactor, const std::string& path, RuleCallback callback) {
  new Reading(proactor, path, std::move(callback));  // deletes itself
}

}  // namespace sluice::spool
