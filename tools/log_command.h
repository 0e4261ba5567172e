#pragma once

namespace sluice::tools {

/// `sluice log`: reads the transaction log. argv[0] is "log".
int log_command(int argc, char** argv);

}  // namespace sluice::tools
