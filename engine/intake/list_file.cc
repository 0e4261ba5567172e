#include "engine/intake/list_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::engine::intake {

ListError unreadable(const std::string& name, int error) {
  const auto kind = error == ENOENT || error == ENOTDIR || error == EISDIR
                        ? ListError::Kind::missing
                    : error == EACCES || error == EPERM ? ListError::Kind::not_allowed
                                                        : ListError::Kind::io;
  return {kind, fmt::format("{}: cannot be read: {}", name, std::strerror(error))};
}

std::expected<ListFile, int> ListFile::open(const std::string& path) {
  if (path == "-") return ListFile(STDIN_FILENO, false);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::unexpected(errno);
  ListFile file(descriptor, true);
  struct stat status{};
  if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) return std::unexpected(EISDIR);
  posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
  return file;
}

ListFile ListFile::holding(std::string octets) {
  ListFile file(-1, false);
  file.octets_ = std::move(octets);
  return file;
}

ListFile::~ListFile() {
  if (is_owned_ && descriptor_ >= 0) ::close(descriptor_);
}

std::expected<size_t, int> ListFile::read(std::span<char> out) {
  size_t done = 0;
  if (descriptor_ < 0) {
    done = octets_.copy(out.data(), out.size(), octets_read_);
    octets_read_ += done;
    return done;
  }
  while (done < out.size()) {
    const ssize_t got = ::read(descriptor_, out.data() + done, out.size() - done);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(errno);
    done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace sluice::engine::intake
