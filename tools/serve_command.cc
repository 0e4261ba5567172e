#include "tools/serve_command.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>

#include "tools/command_line.h"
#include "tools/privileges.h"
#include "tools/progress.h"
#include "tools/run_engine.h"

namespace sluice::tools {

namespace {

constexpr const char* examples = R"(
Examples:
  sluice serve                                  deliver what is handed to the system's spool
  sluice serve --config /etc/sluice/test.toml
  sluice serve --spool spool --until-empty      go on where `sluice send --deliver` was stopped

With --until-empty held mail is not waited for: when nothing else is left, sluice says so and exits with 75.
SIGTERM or Ctrl-C finishes what is under way, for at most 10 s; the rest stays in the spool.
SIGHUP reads the configuration anew: all of it, or with a mistake nothing (docs/reload.md).
SIGUSR1 opens the transaction log anew (after logrotate).
With admin.address in the configuration it serves metrics, health and submissions over HTTP (docs/http.md).

Exit codes: 0 done or stopped, 69 io_uring is not to be had, 74 I/O error, 75 another engine owns the
spool or (--until-empty) mail still waits or is held, 77 not allowed, 78 configuration.
)";

}  // namespace

int serve_command(int argc, char** argv) {
  CLI::App app("Delivers what is in the spool, and what is handed to it from now on.",
               "sluice serve");
  app.footer(examples);
  ConfigurationOptions configuration;
  std::string next_hop;
  bool until_empty = false, quiet = false;
  configuration.declare_config(app);
  configuration.declare_spool(app);
  app.add_option("--next-hop", next_hop,
                 "Deliver everything to this server, instead of what the configuration says")
      ->type_name("HOST:PORT");
  app.add_flag("--until-empty", until_empty,
               "Exit when every recipient in the spool has its fate, or is held");
  app.add_flag("--quiet", quiet, "Tell problems only");
  if (auto code = parse_command_line(app, argc, argv)) return *code;
  auto config = configuration.load();
  if (!config) return EX_CONFIG;
  if (!next_hop.empty())
    if (auto mistake = config->override_next_hop(next_hop)) {
      fmt::print(stderr, "sluice serve: --next-hop {}: {}\n", next_hop, *mistake);
      return EX_USAGE;
    }
  if (!config->user.empty() && ::geteuid() == 0)
    if (auto done = become(config->user, {config->spool, config->log}); !done) {
      fmt::print(stderr, "sluice serve: {}\n", done.error());
      return EX_NOPERM;
    }

  const auto reread = [&]() -> std::expected<engine::Config, std::vector<std::string>> {
    auto next = configuration.read();
    if (next && !next_hop.empty()) next->override_next_hop(next_hop);
    return next;
  };
  auto result = run_engine(*config, {.until_empty = until_empty,
                                     .listens = !until_empty,
                                     .quiet = quiet,
                                     .with_http = true,
                                     .reread = reread});
  if (!result) {
    fmt::print(stderr, "sluice serve: {}\n", result.error().message);
    return result.error().exit_code;
  }
  const engine::Totals& totals = result->totals;
  const uint64_t waiting = totals.recipients - totals.fates();
  if (!quiet)
    fmt::print(stderr, "sluice: {}: {} delivered, {} failed, {} expired, {} wait\n",
               result->was_interrupted ? "stopped" : "done", grouped(totals.delivered),
               grouped(totals.failed + totals.unreadable), grouped(totals.expired),
               grouped(waiting));
  if (!until_empty) return EX_OK;
  if (totals.held > 0) fmt::print(stderr, "sluice: {}\n", held_text(totals.held, config->spool));
  if (result->campaigns_refused > 0) return EX_CONFIG;
  return waiting > 0 ? EX_TEMPFAIL : EX_OK;
}

}  // namespace sluice::tools
