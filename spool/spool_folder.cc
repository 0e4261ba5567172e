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

std::expected<void, Error> make_folder(io::Proactor& proactor, const std::string& path,
                                       const std::string& parent) {
  io::MakeDirectory make;
  make.path = path;
  const int32_t made = io::run(proactor, make);
  if (made == -EEXIST) return {};
  if (made < 0) return std::unexpected(disk_error("create the folder", path, made));
  io::SyncDirectory sync;
  sync.path = parent;
  if (const int32_t synced = io::run(proactor, sync); synced < 0)
    return std::unexpected(disk_error("sync the folder", parent, synced));
  return {};
}

}  // namespace

std::expected<void, Error> make_spool_folder(io::Proactor& proactor, const std::string& spool,
                                             std::initializer_list<std::string_view> parts) {
  if (auto owned = look_at_owner(spool); !owned) return owned;
  if (auto made = make_folder(proactor, spool, parent_of(spool)); !made) return made;
  for (const std::string_view part : parts)
    if (auto made = make_folder(proactor, spool + "/" + std::string(part), spool); !made)
      return made;
  return {};
}

}  // namespace sluice::spool
