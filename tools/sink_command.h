#pragma once

namespace sluice::tools {

/// `sluice sink`: a receiving test server, fast, with faults on demand. argv[0] is the command's
/// name; returns the exit code.
int sink_command(int argc, char** argv);

}  // namespace sluice::tools
