#pragma once

#include <string>
#include <vector>

#include "engine/config.h"

namespace sluice::engine {

/// Why a running engine cannot go by `next` in place of `now`: one line each, with the key; empty
/// when it can. Keys that are read once, at the start, must be as they were; addresses to listen on
/// that are new must be free. Blocking, a few system calls for each of these.
std::vector<std::string> obstacles_to_reload(const Config& now, const Config& next);

}  // namespace sluice::engine
