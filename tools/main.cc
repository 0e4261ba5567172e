#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>
#include <vector>

#include "engine/nearest_name.h"
#include "tools/check_command.h"
#include "tools/dkim_command.h"
#include "tools/explain_command.h"
#include "tools/log_command.h"
#include "tools/privileges.h"
#include "tools/queue_command.h"
#include "tools/send_command.h"
#include "tools/sendmail/sendmail_command.h"
#include "tools/serve_command.h"
#include "tools/sink_command.h"
#include "tools/top/top_command.h"

namespace sluice::tools {
namespace {

struct Command {
  std::string_view name;
  int (*run)(int argc, char** argv);  // argv[0] is the command's name
  std::string_view meaning;
};

constexpr Command commands[] = {
    {"send", send_command, "hand a newsletter to a spool, or deliver it right here"},
    {"serve", serve_command, "run the engine; with --until-empty, until the spool is empty"},
    {"queue", queue_command, "see and steer what waits: hold, release, retry, cancel"},
    {"explain", explain_command, "route, limits and the whole timeline of mail to an address"},
    {"log", log_command, "read the transaction log: what became of whom, when and why"},
    {"top", top_command, "watch a running engine: rates, sessions, what waits where"},
    {"check", check_command, "check a configuration: every mistake in one go"},
    {"dkim", dkim_command, "make keys that sign mail (DKIM)"},
    {"sendmail", sendmail_command, "drop-in for sendmail(1): mail from a program on this machine"},
    {"sink", sink_command, "a receiving test server, fast, with faults on demand"},
};

constexpr std::string_view introduction =
    "Sluice sends mail: personalised newsletters to any number of recipients, durably spooled and "
    "fast.\n"
    "\n"
    "Usage: sluice COMMAND [OPTION]...\n"
    "\n"
    "Commands:\n";

constexpr std::string_view conclusion = R"(
  sluice COMMAND --help   options and examples of a command
  sluice --version

A first tour, with nothing but this machine:
  sluice sink --listen 127.0.0.1:2525 &
  sluice send --message news.eml --recipients list.csv --from 'bounce+{{id}}@news.example' \
              --spool spool --deliver --next-hop 127.0.0.1:2525
  sluice log --spool spool --history --recipient ann@example.net

Exit codes are those of sysexits.h: 0 done, 64 usage, 65 bad input data, 66 no input, 69 unavailable,
73 cannot create, 74 I/O error, 75 try again later, 77 not allowed, 78 configuration.
)";

void print_overview(std::FILE* to) {
  fmt::print(to, "{}", introduction);
  for (const Command& command : commands)
    fmt::print(to, "  {:<8} {}\n", command.name, command.meaning);
  fmt::print(to, "{}", conclusion);
}

int unknown_command(std::string_view name) {
  std::vector<std::string_view> names = {"--help", "--version"};
  for (const Command& command : commands) names.push_back(command.name);
  const std::string_view near = engine::nearest_name(name, names);
  const std::string advice =
      near.empty() ? "see sluice --help" : fmt::format("did you mean {}?", near);
  const std::string_view kind = name.starts_with('-') ? "option" : "command";
  fmt::print(stderr, "sluice: unknown {} {}; {}\n", kind, name, advice);
  return EX_USAGE;
}

/// Ends as a program does that nobody taught about pipes: what reads our output has seen enough.
[[noreturn]] void end_by_broken_pipe() {
  std::signal(SIGPIPE, SIG_DFL);
  std::raise(SIGPIPE);
  std::_Exit(EX_IOERR);
}

int run(const Command& command, int argc, char** argv) {
  int code = EX_SOFTWARE;
  try {
    code = command.run(argc, argv);
    if (std::fflush(stdout) != 0)
      throw std::system_error(errno, std::generic_category(), "cannot write to stdout");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::broken_pipe) end_by_broken_pipe();
    fmt::print(stderr, "sluice {}: {}\n", command.name, error.what());
    code = EX_IOERR;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "sluice {}: out of memory\n", command.name);
    code = EX_OSERR;
  } catch (const std::exception& error) {
    fmt::print(stderr, "sluice {}: unexpected: {}\n", command.name, error.what());
  }
  return code;
}

int main(int argc, char** argv) {
  // A peer that closes its connection, or a reader that closes our output, is an answer, not a
  // reason to die.
  std::signal(SIGPIPE, SIG_IGN);
  const std::string_view called = argc > 0 ? argv[0] : "";
  if (called.substr(called.rfind('/') + 1) == "sendmail" || has_foreign_rights())
    return run(*std::ranges::find(commands, "sendmail", &Command::name), argc, argv);
  if (argc < 2) {
    print_overview(stderr);
    return EX_USAGE;
  }
  const std::string_view name = argv[1];
  if (name == "--help" || name == "-h") {
    print_overview(stdout);
    return EX_OK;
  }
  if (name == "--version") {
    fmt::print("sluice {}\n", SLUICE_VERSION);
    return EX_OK;
  }
  const auto* command = std::ranges::find(commands, name, &Command::name);
  if (command == std::end(commands)) return unknown_command(name);
  return run(*command, argc - 1, argv + 1);
}

}  // namespace
}  // namespace sluice::tools

int main(int argc, char** argv) { return sluice::tools::main(argc, argv); }
