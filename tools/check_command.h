#pragma once

namespace sluice::tools {

/// `sluice check`: checks a configuration and prints what it comes to. argv[0] is "check".
int check_command(int argc, char** argv);

}  // namespace sluice::tools
