#pragma once

namespace sluice::tools {

/// `sluice sendmail`, or the program called as `sendmail`: argv[0] is the command's name. Returns
/// the process's exit code.
int sendmail_command(int argc, char** argv);

}  // namespace sluice::tools
