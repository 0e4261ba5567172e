#include "spool/spool_folder.h"

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
  if (auto made = make_folder(proactor, spool, parent_of(spool)); !made) return made;
  for (const std::string_view part : parts)
    if (auto made = make_folder(proactor, spool + "/" + std::string(part), spool); !made)
      return made;
  return {};
}

}  // namespace sluice::spool
