#pragma once

#include <string>

#include "engine/config.h"
#include "engine/intake/submission.h"

namespace sluice::tools {

/// `sluice send --deliver`, after the hand-off.
struct DeliverOptions {
  engine::Config config;            // its spool is the one handed off to
  engine::intake::Receipt receipt;  // what was handed off; to be part of the result
  bool json = false;
  bool quiet = false;  // no progress
};

/// Runs the engine in this process until every recipient of the campaign has a fate, nothing is
/// left but what is held, or a signal ends it. Prints the result. Returns the exit code: 0 all
/// delivered, 1 some failed for good, 75 some still wait.
int deliver(const DeliverOptions& options);

}  // namespace sluice::tools
