#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "engine/config.h"

namespace sluice::tools {

/// Parses a command's arguments (argv[0] is the command's name). nullopt: go on. Else the process's
/// exit code, everything having been printed: 0 for
/// --help, EX_USAGE with one line on stderr for a mistake.
std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv);

/// The configuration a command goes by (`--config`, the system's file, the defaults). nullopt: all
/// mistakes were printed to stderr; exit with EX_CONFIG.
std::optional<engine::Config> find_config(const std::string& path);

/// `--spool DIR`: that spool instead of the configuration's, and, when no configuration file says
/// where the transaction log goes, DIR/log for it. Nothing when `spool` is "".
void use_spool(engine::Config& config, const std::string& spool);

}  // namespace sluice::tools
