#pragma once

#include <cstdint>
#include <string>

#include "tools/queue/selection.h"
#include "tools/queue/spool_view.h"

namespace sluice::tools {

struct SummaryOptions {
  bool by_campaign = false;
  size_t rows_max = 20;
  bool json = false;
};

/// What waits, counted by destination or campaign, those with most first.
std::string queue_summary(SpoolView& view, const Selection& selection,
                          const SummaryOptions& options);

}  // namespace sluice::tools
