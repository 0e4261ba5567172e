#include "tools/command_line.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>

namespace sluice::tools {

std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return EX_OK;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}; see {} --help\n", app.get_name(), error.what(), app.get_name());
    return EX_USAGE;
  }
  return std::nullopt;
}

std::optional<engine::Config> find_config(const std::string& path) {
  auto config = engine::Config::find(path);
  if (config) return *std::move(config);
  for (const engine::ConfigError& error : config.error()) fmt::print(stderr, "{}\n", error.text);
  return std::nullopt;
}

void use_spool(engine::Config& config, const std::string& spool) {
  if (spool.empty()) return;
  config.spool = spool;
  if (config.source.empty()) config.log = spool + "/log";
}

}  // namespace sluice::tools
