#pragma once

#include <cstdint>
#include <string>

#include "engine/report/spool_view.h"
#include "tools/queue/selection.h"

namespace sluice::tools {

struct SummaryOptions {
  bool by_campaign = false;
  size_t rows_max = 20;
  bool json = false;
};

/// What waits, counted by destination or campaign, those with most first.
std::string queue_summary(engine::report::SpoolView& view, const Selection& selection,
                          const SummaryOptions& options);

}  // namespace sluice::tools
