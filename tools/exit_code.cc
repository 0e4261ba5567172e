#include "tools/exit_code.h"

#include <sysexits.h>

namespace sluice::tools {

using engine::intake::SubmissionFailure;

int exit_code(SubmissionFailure::Kind kind) {
  switch (kind) {
    case SubmissionFailure::Kind::usage:         return EX_USAGE;
    case SubmissionFailure::Kind::data:          return EX_DATAERR;
    case SubmissionFailure::Kind::no_input:      return EX_NOINPUT;
    case SubmissionFailure::Kind::cannot_create: return EX_CANTCREAT;
    case SubmissionFailure::Kind::io:            return EX_IOERR;
    case SubmissionFailure::Kind::try_later:     return EX_TEMPFAIL;
    case SubmissionFailure::Kind::not_allowed:   return EX_NOPERM;
    case SubmissionFailure::Kind::unavailable:   return EX_UNAVAILABLE;
    case SubmissionFailure::Kind::interrupted:   return EX_TEMPFAIL;
  }
  return EX_SOFTWARE;
}

}  // namespace sluice::tools
