#include "engine/intake/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace sluice::engine::intake {

std::expected<SpillFile, int> SpillFile::create(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor >= 0) return SpillFile(descriptor);
  if (errno != EOPNOTSUPP && errno != EISDIR) return std::unexpected(errno);
  // A file system without O_TMPFILE (some network and overlay ones).
  std::string name = folder + "/.sluice-XXXXXX";
  SpillFile file(mkostemp(name.data(), O_CLOEXEC));
  if (file.descriptor_ < 0) return std::unexpected(errno);
  ::unlink(name.c_str());
  return file;
}

SpillFile::~SpillFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::expected<void, int> SpillFile::write(uint64_t offset, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t done =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return std::unexpected(errno);
    bytes = bytes.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return {};
}

std::expected<int, int> SpillFile::reader() const {
  const int descriptor = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (descriptor < 0 || ::lseek(descriptor, 0, SEEK_SET) < 0) return std::unexpected(errno);
  return descriptor;
}

std::expected<void, int> SpillFile::read(uint64_t offset, std::span<char> out) const {
  while (!out.empty()) {
    const ssize_t done = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return std::unexpected(errno);
    if (done == 0) return std::unexpected(EIO);
    out = out.subspan(static_cast<size_t>(done));
    offset += static_cast<uint64_t>(done);
  }
  return {};
}

}  // namespace sluice::engine::intake
