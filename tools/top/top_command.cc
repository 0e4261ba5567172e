#include "tools/top/top_command.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <optional>
#include <thread>

#include "tools/command_line.h"
#include "tools/interrupt.h"
#include "tools/top/admin_client.h"
#include "tools/top/sample.h"
#include "tools/top/screen.h"

namespace sluice::tools {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* examples = R"(
Shows a running engine: what it accepts, delivers, defers and fails in a second, where its sessions wait, and the
destinations with most waiting. It asks the engine's HTTP interface, so admin.address must be set. q or Ctrl-C ends it.

Examples:
  sluice top                              the engine of the system's configuration
  sluice top --admin 127.0.0.1:8025
  sluice top --once                       one look, for a script or a mail
  sluice top --json | jq .rates.delivered.per_s

SESSIONS of a phase is how many waited in it on average, by the waits that ended; WAITS/S counts these.

Exit codes: 0 done, 64 usage, 66 the token cannot be read, 69 no engine answers, 78 configuration.
)";

struct Arguments {
  std::string admin, token_file;
  ConfigurationOptions configuration;
  bool once = false, json = false;
};

int fail(int code, const std::string& text) {
  fmt::print(stderr, "sluice top: {}\n", text);
  return code;
}

/// Asks, and remembers what was before.
class Watch {
 public:
  explicit Watch(AdminClient client) : client_(std::move(client)) {}

  /// What went on since the last look; before the second one nothing did.
  std::expected<void, std::string> look() {
    const auto metrics = client_.get("/metrics");
    if (!metrics) return std::unexpected(metrics.error());
    Sample now = Sample::parse(*metrics);
    activity_ = Activity::between(last_.value_or(now), now);
    last_ = std::move(now);
    if (Clock::now() < queue_due_) return {};
    const Clock::time_point began = Clock::now();
    const auto queue = client_.get("/v1/queue");
    if (!queue) return std::unexpected(queue.error());
    destinations_ = DestinationRow::parse(*queue);
    // To read a spool takes time of the disk: a tenth of ours at most.
    queue_due_ =
        Clock::now() + std::max<Clock::duration>(queue_interval, 10 * (Clock::now() - began));
    return {};
  }

  std::string text(size_t lines) const {
    return screen_text(client_.address(), activity_, destinations_, lines);
  }
  std::string json() const { return screen_json(activity_, destinations_); }

 private:
  static constexpr std::chrono::seconds queue_interval{1};

  AdminClient client_;
  std::optional<Sample> last_;
  Activity activity_;
  std::vector<DestinationRow> destinations_;
  Clock::time_point queue_due_{};
};

constexpr int interval_ms = 1000;

/// A line, or a page, each second.
int print(Watch& watch, const Arguments& arguments) {
  if (auto looked = watch.look(); !looked) return fail(EX_UNAVAILABLE, looked.error());
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(interval_ms));
    if (Interrupt::number() != 0) break;
    if (auto looked = watch.look(); !looked) return fail(EX_UNAVAILABLE, looked.error());
    fmt::print("{}", arguments.json ? watch.json() : watch.text(SIZE_MAX));
    std::fflush(stdout);
  } while (!arguments.once && std::ferror(stdout) == 0);
  return EX_OK;
}

int draw(Watch& watch) {
  if (auto looked = watch.look(); !looked) return fail(EX_UNAVAILABLE, looked.error());
  std::string problem;
  {
    Screen screen;
    while (Interrupt::number() == 0 && problem.empty()) {
      screen.show(watch.text(screen.lines()));
      if (Screen::wait_for_key(interval_ms) == 'q') break;
      if (auto looked = watch.look(); !looked) problem = looked.error();
    }
  }
  return problem.empty() ? EX_OK : fail(EX_UNAVAILABLE, problem);
}

}  // namespace

int top_command(int argc, char** argv) {
  CLI::App app("Shows what a running engine does, live.", "sluice top");
  app.footer(examples);
  Arguments arguments;
  app.add_option("--admin", arguments.admin,
                 "The engine's HTTP interface; default: the configuration's admin.address")
      ->type_name("ADDRESS:PORT");
  app.add_option("--token-file", arguments.token_file,
                 "The interface's token, for another machine's; default: none")
      ->type_name("FILE");
  app.add_flag("--once", arguments.once, "Print what a second brought, and exit");
  app.add_flag("--json", arguments.json, "Print a line of JSON a second");
  arguments.configuration.declare_config(app);
  if (auto code = parse_command_line(app, argc, argv)) return *code;
  if (arguments.admin.empty()) {
    const auto config = arguments.configuration.load();
    if (!config) return EX_CONFIG;
    if (config->admin_address.empty())
      return fail(EX_CONFIG,
                  "the configuration has no admin.address, where an engine could be asked; set it, "
                  "or say --admin");
    arguments.admin = config->admin_address;
  }
  const auto address = io::SocketAddress::parse(arguments.admin);
  if (!address)
    return fail(EX_USAGE, fmt::format("--admin {}: {}", arguments.admin, address.error()));
  std::string token;
  if (!arguments.token_file.empty()) {
    std::ifstream file(arguments.token_file);
    if (!std::getline(file, token))
      return fail(EX_NOINPUT, fmt::format("--token-file {}: cannot be read", arguments.token_file));
  }
  const Interrupt interrupt;
  Watch watch(AdminClient(*address, std::move(token)));
  const bool is_live = !arguments.once && !arguments.json && ::isatty(STDOUT_FILENO) == 1 &&
                       ::isatty(STDIN_FILENO) == 1;
  return is_live ? draw(watch) : print(watch, arguments);
}

}  // namespace sluice::tools
