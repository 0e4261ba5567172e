#pragma once

#include "engine/intake/submission.h"

namespace sluice::tools {

/// What a command exits with (sysexits.h) when nothing was handed off.
int exit_code(engine::intake::SubmissionFailure::Kind kind);

}  // namespace sluice::tools
