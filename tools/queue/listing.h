#pragma once

#include <string>

#include "tools/queue/selection.h"
#include "tools/queue/spool_view.h"

namespace sluice::tools {

/// The first `rows_max` recipients that wait, by campaign, and how many more there are.
std::string queue_list(SpoolView& view, const Selection& selection, size_t rows_max, bool json);

}  // namespace sluice::tools
