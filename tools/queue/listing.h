#pragma once

#include <string>

#include "engine/report/spool_view.h"
#include "tools/queue/selection.h"

namespace sluice::tools {

/// The first `rows_max` recipients that wait, by campaign, and how many more there are.
std::string queue_list(engine::report::SpoolView& view, const Selection& selection, size_t rows_max,
                       bool json);

}  // namespace sluice::tools
