#include "tools/check_command.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/config_reference.h"
#include "io/uring.h"
#include "tools/command_line.h"
#include "tools/published_keys.h"

namespace sluice::tools {

namespace {

constexpr const char* examples = R"(
Examples:
  sluice check                           the system's configuration
  sluice check --config new.toml && mv new.toml /etc/sluice/sluice.toml
  sluice check --defaults > sluice.toml  a file with every key, to start from
  sluice check --dns                     and are the DKIM keys published?

Exit codes: 0 no mistake, 64 usage, 69 io_uring is not to be had, 75 DNS does not answer, 78 a mistake, or
(--dns) a key that is not published.
)";

void print_json(const std::string& path, const std::vector<engine::ConfigError>& errors,
                const std::optional<std::vector<PublishedKey>>& published) {
  const bool is_good = errors.empty() && (!published || exit_code(*published) == EX_OK);
  nlohmann::ordered_json out = {
      {"config", path}, {"ok", is_good}, {"errors", nlohmann::json::array()}};
  for (const engine::ConfigError& error : errors)
    out["errors"].push_back({{"file", error.file},
                             {"line", error.line},
                             {"field", error.field},
                             {"message", error.message}});
  if (published) out["dns"] = nlohmann::json::array();
  for (const PublishedKey& key : published.value_or(std::vector<PublishedKey>()))
    out["dns"].push_back({{"name", key.name},
                          {"ok", key.problem.empty()},
                          {"problem", key.problem},
                          {"publish", key.publish}});
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const std::vector<PublishedKey>& published) {
  for (const PublishedKey& key : published) {
    if (key.problem.empty())
      fmt::print("{}: published\n", key.name);
    else
      fmt::print(stderr, "{}: {}\n{}", key.name, key.problem,
                 key.is_unknown ? "" : fmt::format("publish: {}", key.publish));
  }
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
  bool json = false, describe = false, defaults = false, dns = false;
  declare_config(app, path);
  app.add_flag("--json", json, "Print the result as JSON");
  app.add_flag("--defaults", defaults, "Print a configuration file with every key at its default");
  app.add_flag("--describe", describe,
               "Print all keys with types, ranges and meanings, as Markdown");
  app.add_flag("--dns", dns, "Ask DNS as well: is what is published the DKIM keys?");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;

  if (describe) fmt::print("{}", engine::config_markdown());
  if (defaults) fmt::print("{}", engine::config_defaults_toml());
  if (describe || defaults) return EX_OK;

  const auto config = engine::Config::find(path);
  const std::vector<engine::ConfigError> errors = config ? config->warnings : config.error();
  if (path.empty())
    path = config && config->source.empty() ? "built-in defaults" : engine::Config::system_path;
  std::optional<std::vector<PublishedKey>> published;
  if (dns && errors.empty()) {
    auto ring = io::open_uring({.entries = 256, .sockets_max = 64, .receive_buffers = 64});
    if (!ring) {
      fmt::print(stderr, "sluice check: {}\n", ring.error().message);
      return EX_UNAVAILABLE;
    }
    published = look_up_keys(**ring, *config);
  }
  if (json) {
    print_json(path, errors, published);
  } else if (errors.empty()) {
    fmt::print("{}: no mistakes\n{}", path, engine::config_summary(*config));
    if (published) print(*published);
  } else {
    for (const engine::ConfigError& error : errors) fmt::print(stderr, "{}\n", error.text);
    fmt::print(stderr, "{}: {}\n", path, count_text(errors.size()));
  }
  if (!errors.empty()) return EX_CONFIG;
  return published ? exit_code(*published) : EX_OK;
}

}  // namespace sluice::tools
