#include "tools/check_command.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/config_reference.h"
#include "tools/command_line.h"

namespace sluice::tools {

namespace {

constexpr const char* examples = R"(
Examples:
  sluice check                           the system's configuration
  sluice check --config new.toml && mv new.toml /etc/sluice/sluice.toml
  sluice check --defaults > sluice.toml  a file with every key, to start from

Exit codes: 0 no mistake, 64 usage, 78 a mistake.
)";

void print_json(const std::string& path, const std::vector<engine::ConfigError>& errors) {
  nlohmann::ordered_json out = {
      {"config", path}, {"ok", errors.empty()}, {"errors", nlohmann::json::array()}};
  for (const engine::ConfigError& error : errors)
    out["errors"].push_back({{"file", error.file},
                             {"line", error.line},
                             {"field", error.field},
                             {"message", error.message}});
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string count_text(size_t mistakes) {
  return mistakes == 1 ? "1 mistake" : fmt::format("{} mistakes", mistakes);
}

}  // namespace

int check_command(int argc, char** argv) {
  CLI::App app("Checks a configuration: every mistake in one go, with file, line and field.",
               "sluice check");
  app.footer(examples);
  std::string path;
  bool json = false, describe = false, defaults = false;
  declare_config(app, path);
  app.add_flag("--json", json, "Print the result as JSON");
  app.add_flag("--defaults", defaults, "Print a configuration file with every key at its default");
  app.add_flag("--describe", describe,
               "Print all keys with types, ranges and meanings, as Markdown");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;

  if (describe) fmt::print("{}", engine::config_markdown());
  if (defaults) fmt::print("{}", engine::config_defaults_toml());
  if (describe || defaults) return EX_OK;

  const auto config = engine::Config::find(path);
  const std::vector<engine::ConfigError> errors = config ? config->warnings : config.error();
  if (path.empty())
    path = config && config->source.empty() ? "built-in defaults" : engine::Config::system_path;
  if (json) {
    print_json(path, errors);
  } else if (errors.empty()) {
    fmt::print("{}: no mistakes\n{}", path, engine::config_summary(*config));
  } else {
    for (const engine::ConfigError& error : errors) fmt::print(stderr, "{}\n", error.text);
    fmt::print(stderr, "{}: {}\n", path, count_text(errors.size()));
  }
  return errors.empty() ? EX_OK : EX_CONFIG;
}

}  // namespace sluice::tools
