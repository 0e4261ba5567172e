#pragma once

namespace sluice::tools {

/// `sluice dkim`: makes keys. argv[0] is "dkim".
int dkim_command(int argc, char** argv);

}  // namespace sluice::tools
