#include "spool/spool_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "spool/disk_error.h"

namespace sluice::spool {
namespace {

std::string parent_of(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Root could write into anybody's spool, and its owner's engine could not read what it wrote.
/// (Looks past the Proactor, whose Stat does not tell owners; in a simulated world nobody is found
/// here, and nobody is refused.)
std::expected<void, Error> look_at_owner(const std::string& spool) {
  struct stat attributes;
  if (::stat(spool.c_str(), &attributes) < 0 || attributes.st_uid == ::geteuid()) return {};
  return std::unexpected(
      Error{ErrorCode::not_allowed, 0,
            fmt::format("{}: belongs to user {} (mode {:04o}), and this process runs as user {}: "
                        "run it as that user (sudo -u '#{}') or choose another spool",
                        spool, attributes.st_uid, attributes.st_mode & 07777, ::geteuid(),
                        attributes.st_uid)});
}

/// True when it was missing.
std::expected<bool, Error> make_folder(io::Proactor& proactor, const std::string& path) {
  io::MakeDirectory make;
  make.path = path;
  const int32_t made = io::run(proactor, make);
  if (made == -EEXIST) return false;
  if (made < 0) return std::unexpected(disk_error("create the folder", path, made));
  return true;
}

/// Also when the folders were there: who made them may have died before he could sync.
std::expected<void, Error> sync_folder(io::Proactor& proactor, const std::string& path,
                                       bool may_be_refused) {
  io::SyncDirectory sync;
  sync.path = path;
  const int32_t synced = io::run(proactor, sync);
  if (synced >= 0 || (may_be_refused && synced == -EACCES)) return {};
  return std::unexpected(disk_error("sync the folder", path, synced));
}

}  // namespace

std::expected<void, Error> make_spool_folder(io::Proactor& proactor, const std::string& spool,
                                             std::initializer_list<std::string_view> parts) {
  if (auto owned = look_at_owner(spool); !owned) return owned;
  const auto made = make_folder(proactor, spool);
  if (!made) return std::unexpected(made.error());
  for (const std::string_view part : parts)
    if (auto done = make_folder(proactor, spool + "/" + std::string(part)); !done)
      return std::unexpected(done.error());
  if (auto synced = sync_folder(proactor, spool, false); !synced) return synced;
  return sync_folder(proactor, parent_of(spool), !*made);
}

}  // namespace sluice::spool
