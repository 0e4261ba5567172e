#pragma once

#include <expected>
#include <memory>
#include <string>

#include "io/proactor.h"

namespace sluice::io {

struct UringOptions {
  unsigned entries = 4096;          // submission queue; the completion queue has four times as many
  unsigned sockets_max = 65536;     // slots in the ring's table of direct descriptors
  unsigned receive_buffers = 1024;  // a power of two
  unsigned receive_buffer_bytes = 4096;
  // Before 6.13 a ring keeps a closed direct descriptor's socket until operations begun before the
  // close on any other have ended, so a peer might never see the close: it is shut down first
  // there. True: on any kernel.
  bool shut_down_before_close = false;
};

/// Sockets that a ring of these options holds at once; what would open one more ends with -EMFILE.
/// Fewer than sockets_max where the process's limit of descriptors, which is raised, is lower.
unsigned socket_slots(const UringOptions& options);

/// Why io_uring cannot be had here, and what to do about it, in one line for the operator.
struct UringError {
  int error;  // errno
  std::string message;
};

/// Opens a ring for the calling thread, which becomes its only user and must be the one to destroy
/// it (SINGLE_ISSUER, DEFER_TASKRUN: Linux 6.1 or later), and raises the process's soft limit of
/// descriptors to the hard one. Told apart, each with a remedy: io_uring forbidden
/// (kernel.io_uring_disabled, seccomp), kernel too old, too little locked memory, too few
/// descriptors.
std::expected<std::unique_ptr<Proactor>, UringError> open_uring(const UringOptions& options = {});

}  // namespace sluice::io
