#pragma once

#include <expected>
#include <string>

#include "tools/sink/shard.h"

namespace sluice::tools::sink {

struct Result {
  Tally tally;
  uint64_t connections_peak = 0;
  double seconds = 0;  // from the first message taken to the last
  io::Instant last;    // message taken
  int save_error = 0;  // errno of the first message that could not be saved
};

/// Serves on options.threads threads, each with a ring and a listener of its own (SO_REUSEPORT),
/// until SIGTERM, SIGINT or the number of messages asked for. Calls `ready` with the address in use
/// once all listen. The error is one line for the operator. SIGTERM and SIGINT stay blocked in the
/// calling thread.
std::expected<Result, std::string> serve(const Options& options,
                                         void (*ready)(const io::SocketAddress&));

}  // namespace sluice::tools::sink
