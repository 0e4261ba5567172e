#pragma once

namespace sluice::tools {

/// `sluice top`.
int top_command(int argc, char** argv);

}  // namespace sluice::tools
