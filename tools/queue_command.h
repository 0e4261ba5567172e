#pragma once

namespace sluice::tools {

/// `sluice queue`; returns the process's exit code.
int queue_command(int argc, char** argv);

}  // namespace sluice::tools
