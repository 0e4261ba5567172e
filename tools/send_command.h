#pragma once

namespace sluice::tools {

/// `sluice send`: hands a newsletter to a spool; with --deliver also delivers it, in this process.
/// argv[0] is "send".
int send_command(int argc, char** argv);

}  // namespace sluice::tools
