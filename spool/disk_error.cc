#include "spool/disk_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace sluice::spool {

Error disk_error(std::string_view what, const std::string& path, int32_t result) {
  const int error = -result;
  const auto told = [&](ErrorCode code, std::string_view why, std::string_view remedy) {
    return Error{code, error, fmt::format("{}: cannot {}: {}; {}", path, what, why, remedy)};
  };
  switch (error) {
    case ENOSPC:
      return told(ErrorCode::no_space, "no space left on the disk", "free some and try again");
    case EDQUOT:
      return told(ErrorCode::no_space, "disk quota used up", "free some or raise the quota");
    case EROFS:
      return told(ErrorCode::not_allowed, "the file system is read-only",
                  "mount it writable or choose another folder");
    case EACCES:
    case EPERM:
      return told(ErrorCode::not_allowed, "permission denied", "run as the owner of the spool");
    case ENOENT: return told(ErrorCode::missing, "no such file or folder", "check the path");
    case EMFILE:
    case ENFILE: return told(ErrorCode::io, "too many open files", "raise the limit (ulimit -n)");
    default:
      return {ErrorCode::io, error,
              fmt::format("{}: cannot {}: {}", path, what, std::generic_category().message(error))};
  }
}

}  // namespace sluice::spool
