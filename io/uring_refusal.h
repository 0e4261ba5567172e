#pragma once

#include <cstdint>
#include <string>

namespace sluice::io {

/// What was being done when io_uring was refused.
enum class UringStep : uint8_t { ring, socket_table, receive_buffers };

/// What the system says about itself; each fact is part of some remedy.
struct UringFacts {
  std::string kernel;             // uname's release
  int disabled = -1;              // sysctl kernel.io_uring_disabled; -1 where there is none
  uint64_t descriptors_max = 0;   // RLIMIT_NOFILE, hard
  uint64_t locked_bytes_max = 0;  // RLIMIT_MEMLOCK
  static UringFacts of_this_system();
};

/// Whether a kernel's release, as uname gives it, is before MAJOR.MINOR; false for what is no
/// release.
bool is_before(const std::string& release, int major, int minor);

/// One line for the operator: what was refused, why (`error` is the errno), and what to do about
/// it.
std::string uring_refusal(UringStep step, int error, const UringFacts& facts);

}  // namespace sluice::io
