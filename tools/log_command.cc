#include "tools/log_command.h"

#include <fmt/format.h>
#include <signal.h>
#include <sysexits.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "engine/report/json_writer.h"
#include "engine/report/log_files.h"
#include "engine/report/log_record.h"
#include "tools/command_line.h"
#include "tools/log_filter.h"
#include "tools/log_history.h"
#include "tools/log_table.h"

namespace sluice::tools {

using engine::report::LineReader;
using engine::report::log_files;
using engine::report::LogRecord;
using engine::report::LogRecordReader;

namespace {

constexpr const char* examples = R"(
Times are UTC: 2026-11-22, "2026-11-22 05:27", 2026-11-22T05:27:44Z, or an age such as 90s, 2h, 7d.

Examples:
  sluice log --recipient ann@example.net --history   every attempt for her, in order
  sluice log --event failed --since 1d               what failed for good since yesterday
  sluice log --campaign 2026-05-news --event deferred --destination example.net
  sluice log --follow --since 0s                     only what happens from now on
  sluice log --json --event delivered | jq -r .remote | sort | uniq -c

Exit codes: 0 done, 64 usage, 66 there is no log, 74 I/O error, 78 configuration.
)";

struct Arguments {
  LogQuestion question;
  ConfigurationOptions configuration;
  std::string folder;
  bool follow = false, json = false, history = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  LogQuestion& question = arguments.question;
  app.add_option("--recipient", question.recipient, "Lines of this address")->type_name("ADDRESS");
  app.add_option("--id", question.id, "Lines of this message, or of a campaign's messages")
      ->type_name("ID");
  app.add_option("--campaign", question.campaign, "Lines of this campaign")->type_name("ID");
  app.add_option("--destination", question.destination,
                 "Lines of recipients at this domain; *.DOMAIN for those below it")
      ->type_name("DOMAIN");
  app.add_option("--event", question.events, "Lines of this event; several: --event failed,expired")
      ->type_name("EVENT")
      ->delimiter(',')
      ->take_all();
  app.add_option("--since", question.since, "Not before this time")->type_name("TIME");
  app.add_option("--until", question.until, "Not after this time")->type_name("TIME");
  auto* follow = app.add_flag("--follow", arguments.follow,
                              "Go on with what is written from now on, until interrupted");
  auto* json = app.add_flag("--json", arguments.json,
                            "Print the lines as they are: JSON, one object a line");
  app.add_flag("--history", arguments.history, "Print the attempts of each recipient in order")
      ->excludes(follow)
      ->excludes(json);
  app.add_option("--log", arguments.folder, "The log's folder, instead of the configuration's")
      ->type_name("DIR");
  arguments.configuration.declare_spool(app, "The log that `sluice send --spool DIR` wrote");
  arguments.configuration.declare_config(app);
}

/// Prints the lines that answer the question.
class Answer {
 public:
  Answer(const LogFilter& filter, const Arguments& arguments)
      : filter_(filter), arguments_(arguments) {}

  void look_at(std::string_view line);
  void finish();

 private:
  static constexpr std::string_view line_start = "{\"time\":\"";

  bool is_wanted(std::string_view line) const;
  void print_json(std::string_view line);

  const LogFilter& filter_;
  const Arguments& arguments_;
  LogRecordReader reader_;
  LogRecord record_;
  LogHistory history_;
  uint64_t lines_broken_ = 0;
  bool has_head_ = false;
};

bool Answer::is_wanted(std::string_view line) const {
  if (filter_.may_match(line)) return true;
  // A campaign's acceptance has no recipient, and begins the history of each; a failed connection
  // is told with some of those that wait.
  return arguments_.history && (line.find("\"event\":\"accepted\"") != std::string_view::npos ||
                                line.find("\"event\":\"deferred\"") != std::string_view::npos);
}

void Answer::look_at(std::string_view line) {
  // What the disk had not got yet when the power went is read as zeros.
  line.remove_prefix(std::min(line.find_first_not_of('\0'), line.size()));
  line = line.substr(0, line.find_last_not_of('\0') + 1);
  // What was cut off by a full disk or a crash may have a whole line glued to it; within a line
  // these octets cannot be.
  if (const size_t glued = line.find(line_start, 1); glued != std::string_view::npos) {
    ++lines_broken_;
    return look_at(line.substr(glued));
  }
  if (!is_wanted(line) || line.empty()) return;
  if (!reader_.read(line, record_)) {
    ++lines_broken_;
    return;
  }
  const bool is_acceptance =
      arguments_.history && record_.event == "accepted" && record_.recipient.empty();
  if (arguments_.history && LogHistory::is_setback(record_)) history_.add_setback(record_);
  if (!is_acceptance && !filter_.matches(record_)) return;
  if (arguments_.history) return history_.add(record_);
  if (arguments_.json) return print_json(line);
  if (!std::exchange(has_head_, true)) fmt::print("{}", log_table_head());
  fmt::print("{}", log_table_row(record_));
}

/// DEL and C1 controls may stand in JSON as they are, and ours never do; what another program put
/// into the file must not reach a terminal.
void Answer::print_json(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    const auto octet = static_cast<unsigned char>(line[i]),
               next = static_cast<unsigned char>(i + 1 < line.size() ? line[i + 1] : 0);
    if (octet == 0x7f) {
      out += "\\u007f";
    } else if (octet == 0xc2 && next < 0xa0) {
      out += fmt::format("\\u00{:02x}", next);
      ++i;
    } else if (octet >= 0x20) {
      out += line[i];
    }
  }
  fmt::print("{}\n", out);
}

void Answer::finish() {
  if (arguments_.history) fmt::print("{}", history_.text(arguments_.question.recipient));
  if (lines_broken_ > 0)
    fmt::print(stderr, "sluice log: {} broken {} passed over\n", lines_broken_,
               lines_broken_ == 1 ? "line was" : "lines were");
}

int no_log(const std::string& why) {
  fmt::print(stderr,
             "sluice log: no transaction log: {}; name its folder with --log or engine.log\n", why);
  return EX_NOINPUT;
}

int unreadable(const std::string& path, int error) {
  fmt::print(stderr, "sluice log: {}: {}\n", path, std::strerror(error));
  return error == EACCES || error == EPERM ? EX_NOPERM : EX_IOERR;
}

volatile sig_atomic_t is_interrupted = 0;

void pause_a_moment() {
  constexpr timespec moment = {.tv_sec = 0, .tv_nsec = 200'000'000};
  nanosleep(&moment, nullptr);
}

/// Goes on with `reader`'s file and, whenever that was moved away, with the new one of its name.
int follow(std::unique_ptr<LineReader> reader, const std::string& path,
           const std::function<void(std::string_view)>& look_at) {
  const auto interrupt = +[](int) { is_interrupted = 1; };
  struct sigaction action{};
  action.sa_handler = interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  while (is_interrupted == 0) {
    // Asked before reading: what was written until it was moved is then read to its end.
    const bool was_replaced = reader == nullptr || reader->was_replaced();
    if (reader && !reader->read(look_at)) return unreadable(path, reader->error());
    if (std::fflush(stdout) != 0) break;
    if (was_replaced) {
      auto next = std::make_unique<LineReader>(path);
      if (next->error() == 0) {
        reader = std::move(next);
        continue;
      }
      if (next->error() != ENOENT) return unreadable(path, next->error());
    }
    pause_a_moment();
  }
  return EX_OK;
}

}  // namespace

int log_command(int argc, char** argv) {
  CLI::App app("Reads the transaction log: what became of whom, when, where and why.",
               "sluice log");
  app.footer(examples);
  Arguments arguments;
  declare(app, arguments);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  const auto filter =
      LogFilter::make(arguments.question,
                      std::chrono::time_point_cast<io::Duration>(std::chrono::system_clock::now()));
  if (!filter) {
    fmt::print(stderr, "sluice log: {}\n", filter.error());
    return EX_USAGE;
  }
  if (arguments.folder.empty()) {
    const auto config = arguments.configuration.load();
    if (!config) return EX_CONFIG;
    arguments.folder = config->log;
  }
  const auto paths = log_files(arguments.folder, filter->since());
  if (!paths) return no_log(paths.error());
  if (paths->empty() && !arguments.follow)
    return no_log(fmt::format("{} has no transactions.jsonl", arguments.folder));

  Answer answer(*filter, arguments);
  const auto look_at = [&answer](std::string_view line) { answer.look_at(line); };
  const std::string current = arguments.folder + "/transactions.jsonl";
  std::unique_ptr<LineReader> reader;
  for (const std::string& path : *paths) {
    reader = std::make_unique<LineReader>(path);
    if (!reader->read(look_at) && reader->error() != ENOENT)
      return unreadable(path, reader->error());
  }
  if (arguments.follow) {
    if (paths->empty() || paths->back() != current) reader.reset();
    return follow(std::move(reader), current, look_at);
  }
  answer.finish();
  return EX_OK;
}

}  // namespace sluice::tools
