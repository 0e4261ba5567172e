#pragma once

namespace sluice::tools {

/// `sluice explain`; returns the process's exit code.
int explain_command(int argc, char** argv);

}  // namespace sluice::tools
