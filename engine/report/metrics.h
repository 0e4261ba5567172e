#pragma once

#include <string>

#include "engine/report/counters.h"

namespace sluice::engine::report {

/// `Content-Type` of metrics_text().
inline constexpr const char* metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of all shards together and what the process takes, in Prometheus' text format:
/// names and types by its conventions, seconds and bytes. Called on any thread; about 0.1 ms.
std::string metrics_text(const Counters& counters, bool is_ready);

}  // namespace sluice::engine::report
