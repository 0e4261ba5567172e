#pragma once

#include <CLI/CLI.hpp>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/priority.h"

namespace sluice::tools {

/// Parses a command's arguments (argv[0] is the command's name). nullopt: go on. Else the process's
/// exit code, everything having been printed: 0 for
/// --help, EX_USAGE with one line on stderr for a mistake.
std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv);

/// `--config FILE`.
void declare_config(CLI::App& app, std::string& path);

/// `--priority urgent|normal|non-urgent`.
void declare_priority(CLI::App& app, std::optional<engine::Priority>& priority,
                      const char* meaning);

/// The options by which a command finds its configuration.
class ConfigurationOptions {
 public:
  ConfigurationOptions() = default;
  /// As if they had been given; "" for not.
  ConfigurationOptions(std::string path, std::string spool)
      : path_(std::move(path)), spool_(std::move(spool)) {}

  void declare_config(CLI::App& app);
  void declare_spool(CLI::App& app,
                     const char* meaning = "The spool's folder, instead of the configuration's");

  /// What `--config` names, the system's file or the defaults; `--spool DIR` puts that spool in its
  /// place, and, unless the configuration puts the transaction log elsewhere than the default,
  /// DIR/log for it. nullopt: all mistakes were printed to stderr; exit with EX_CONFIG.
  std::optional<engine::Config> load() const;
  /// The same, with the mistakes a line each.
  std::expected<engine::Config, std::vector<std::string>> read() const;

 private:
  std::string path_, spool_;
};

}  // namespace sluice::tools
