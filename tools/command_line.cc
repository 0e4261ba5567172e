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

void declare_config(CLI::App& app, std::string& path) {
  app.add_option("--config", path,
                 "Configuration file; default: /etc/sluice/sluice.toml if it exists, else built-in "
                 "defaults")
      ->type_name("FILE");
}

void declare_priority(CLI::App& app, std::optional<engine::Priority>& priority,
                      const char* meaning) {
  app.add_option_function<std::string>(
         "--priority",
         [&priority](const std::string& word) {
           priority = engine::parse_priority(word);
           if (!priority)
             throw CLI::ValidationError("--priority " + word, "it is urgent, normal or non-urgent");
         },
         meaning)
      ->type_name("urgent|normal|non-urgent");
}

void ConfigurationOptions::declare_config(CLI::App& app) { tools::declare_config(app, path_); }

void ConfigurationOptions::declare_spool(CLI::App& app, const char* meaning) {
  app.add_option("--spool", spool_, meaning)->type_name("DIR");
}

std::optional<engine::Config> ConfigurationOptions::load() const {
  auto config = read();
  if (config) return *std::move(config);
  for (const std::string& mistake : config.error()) fmt::print(stderr, "{}\n", mistake);
  return std::nullopt;
}

std::expected<engine::Config, std::vector<std::string>> ConfigurationOptions::read() const {
  auto config = engine::Config::find(path_);
  if (!config) {
    std::vector<std::string> mistakes;
    for (engine::ConfigError& error : config.error()) mistakes.push_back(std::move(error.text));
    return std::unexpected(std::move(mistakes));
  }
  if (!spool_.empty()) {
    config->spool = spool_;
    if (config->log == engine::Config().log) config->log = spool_ + "/log";
  }
  return *std::move(config);
}

}  // namespace sluice::tools
