#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace sluice::tools {

struct RunOptions {
  bool until_empty = false;
  bool listens = false;    // takes mail in where the configuration says
  bool quiet = false;      // no progress, no news of campaigns; problems are told all the same
  bool progress = false;   // draw how far it is
  bool with_http = false;  // serve the configuration's [admin], if it has an address
  /// As Engine::Options has it.
  std::function<std::expected<engine::Config, std::vector<std::string>>()> reread;
  std::string campaign;  // the one whose summary is wanted; "" for none
};

struct RunResult {
  engine::Totals totals;
  std::optional<spool::CampaignSummary> summary;  // of the campaign asked for, when it has finished
  double seconds = 0;             // from the start of deliveries to the last durable fate
  uint64_t spool_bytes_max = 0;   // campaigns and journal, at their largest
  uint64_t memory_bytes_max = 0;  // resident, this process
  uint32_t campaigns_refused = 0;
  bool was_interrupted = false;
};

/// Runs the engine in this process until it stops, with news and progress on stderr.
std::expected<RunResult, engine::EngineError> run_engine(const engine::Config& config,
                                                         const RunOptions& options);

}  // namespace sluice::tools
