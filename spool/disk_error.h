#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "spool/error.h"

namespace sluice::spool {

/// What to tell the operator when an operation on `path` came to `result`, a negated errno. `what`
/// completes "cannot ...".
Error disk_error(std::string_view what, const std::string& path, int32_t result);

}  // namespace sluice::spool
