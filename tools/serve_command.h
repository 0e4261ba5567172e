#pragma once

namespace sluice::tools {

/// `sluice serve`: the engine as a daemon, or until its spool is empty. Returns the exit code.
int serve_command(int argc, char** argv);

}  // namespace sluice::tools
