#include "io/uring_refusal.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <utility>

namespace sluice::io {
namespace {

std::string forbidden(const UringFacts& facts) {
  switch (facts.disabled) {
    case 2:
      return "io_uring is forbidden: kernel.io_uring_disabled is 2; allow it with `sysctl "
             "kernel.io_uring_disabled=0`";
    case 1:
      return "io_uring is forbidden to this user: kernel.io_uring_disabled is 1; set it to 0, or "
             "put the user into the group that kernel.io_uring_group names";
    default:
      return "io_uring is forbidden, by a container's seccomp profile or a security module: allow "
             "the system calls io_uring_setup, io_uring_enter and io_uring_register";
  }
}

std::string descriptors(const UringFacts& facts) {
  return fmt::format(
      "too few file descriptors for io_uring: the limit is {}; raise it (`ulimit -Hn`, "
      "LimitNOFILE= "
      "of the service) and close what holds many",
      facts.descriptors_max);
}

std::string memory(const UringFacts& facts) {
  return fmt::format(
      "too little memory that may be locked for io_uring: the limit is {} KiB; raise it (`ulimit "
      "-l "
      "unlimited`, LimitMEMLOCK=infinity of the service), or the memory limit of the service",
      facts.locked_bytes_max / 1024);
}

std::string too_old(const UringFacts& facts) {
  return fmt::format("this kernel's io_uring is too old: Linux 6.1 or later is needed, this is {}",
                     facts.kernel);
}

}  // namespace

UringFacts UringFacts::of_this_system() {
  UringFacts facts;
  utsname name{};
  if (uname(&name) == 0) facts.kernel = name.release;
  if (std::ifstream file("/proc/sys/kernel/io_uring_disabled"); !(file >> facts.disabled))
    facts.disabled = -1;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.descriptors_max = limit.rlim_max;
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) facts.locked_bytes_max = limit.rlim_cur;
  return facts;
}

bool is_before(const std::string& release, int major, int minor) {
  int found_major = 0, found_minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &found_major, &found_minor) != 2) return false;
  return std::pair(found_major, found_minor) < std::pair(major, minor);
}

std::string uring_refusal(UringStep step, int error, const UringFacts& facts) {
  switch (error) {
    case ENOSYS:
      return fmt::format(
          "this system has no io_uring: Linux 6.1 or later is needed, this is {}; if it is, a "
          "container or a seccomp filter hides io_uring_setup",
          facts.kernel);
    case EPERM:
    case EACCES: return forbidden(facts);
    case EINVAL: return too_old(facts);
    case ENOMEM: return memory(facts);
    case EMFILE:
    case ENFILE: return descriptors(facts);
    default:     break;
  }
  const char* what = step == UringStep::ring           ? "opening a ring"
                     : step == UringStep::socket_table ? "making the table of sockets"
                                                       : "registering receive buffers";
  return fmt::format("io_uring: {}: {}", what, std::strerror(error));
}

}  // namespace sluice::io
