#include "spool/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "spool/disk_error.h"

namespace sluice::spool {

std::expected<void, Error> TemporaryFile::create(const std::string& folder,
                                                 std::string_view prefix) {
  for (;;) {
    const auto created =
        try_to_create(fmt::format("{}/{}{:016x}", folder, prefix, proactor_.random()));
    if (!created) return std::unexpected(created.error());
    if (*created) return {};
  }
}

/// False when an engine's sweep was quicker than our lock: begin anew under another name.
std::expected<bool, Error> TemporaryFile::try_to_create(const std::string& path) {
  io::Open open;
  open.path = path;
  open.flags = O_WRONLY | O_CREAT | O_EXCL;
  if (const int32_t opened = io::run(proactor_, open); opened < 0) {
    if (opened == -EEXIST) return false;
    return std::unexpected(disk_error("create a file", path, opened));
  }
  file_ = open.file;
  path_ = path;
  io::Lock lock;
  lock.file = file_;
  const int32_t locked = io::run(proactor_, lock);
  if (locked < 0 && locked != -EWOULDBLOCK)
    return std::unexpected(disk_error("lock", path, locked));
  io::Stat stat;
  stat.path = path;
  if (locked == 0 && io::run(proactor_, stat) == 0) return true;
  discard();
  return false;
}

int32_t TemporaryFile::write(std::span<const std::byte> bytes, uint64_t offset) {
  io::Write write;
  write.file = file_;
  write.offset = offset;
  write.bytes = bytes;
  return io::run(proactor_, write);
}

int32_t TemporaryFile::sync() {
  io::Datasync datasync;
  datasync.file = file_;
  return io::run(proactor_, datasync);
}

int32_t TemporaryFile::hand_over(const std::string& path) {
  io::Rename rename;
  rename.from = path_;
  rename.to = path;
  rename.keep_existing = true;
  const int32_t renamed = io::run(proactor_, rename);
  if (renamed >= 0) path_.clear();
  return renamed;
}

void TemporaryFile::discard() {
  if (!path_.empty()) {
    io::Unlink unlink;
    unlink.path = std::exchange(path_, {});
    io::run(proactor_, unlink);
  }
  if (file_.is_open()) {
    io::CloseFile close;
    close.file = std::exchange(file_, {});
    io::run(proactor_, close);
  }
}

}  // namespace sluice::spool
