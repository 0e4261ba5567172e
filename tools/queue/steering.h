#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "engine/queue/rule.h"
#include "engine/report/spool_view.h"
#include "spool/error.h"
#include "tools/queue/selection.h"

namespace sluice::tools {

/// What an operator's word comes to.
struct Steered {
  uint64_t recipients = 0, campaigns = 0;  // whose state it changes
  std::string rule;  // its name in the spool; "": nothing to do, or only looked at
};

/// Counts who is meant, and hands the rule to the spool unless it would change nothing or
/// `dry_run`.
std::expected<Steered, spool::Error> steer(engine::report::SpoolView& view, Selection& selection,
                                           engine::queue::Rule::Action action, bool dry_run);

}  // namespace sluice::tools
