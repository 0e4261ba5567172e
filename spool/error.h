#pragma once

#include <cstdint>
#include <string>

namespace sluice::spool {

enum class ErrorCode : uint8_t {
  io,             // the machine refused: EIO and the like
  no_space,       // ENOSPC, EDQUOT: go on when there is room again
  not_allowed,    // EACCES, EPERM, EROFS
  locked,         // another process owns the spool
  newer_version,  // written by a later Sluice: left untouched
  damaged,        // a checksum or a length is wrong
  missing,
};

/// An expected refusal. `message` is one line for the operator: what, where and what to do.
struct Error {
  ErrorCode code;
  int error = 0;  // errno, or 0
  std::string message;
};

}  // namespace sluice::spool
