#include "tools/send_command.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/intake/submission.h"
#include "io/uring.h"
#include "tools/command_line.h"
#include "tools/deliver.h"
#include "tools/exit_code.h"
#include "tools/interrupt.h"
#include "tools/progress.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

namespace {

using engine::intake::Preview;
using engine::intake::Receipt;
using engine::intake::Submission;
using engine::intake::SubmissionFailure;
using engine::intake::SubmissionOptions;

constexpr const char* examples = R"(
Tags like {{name}} work in the message's headers and text parts, in --from and in --unsubscribe; each names a
column of the list. The column `email` is the address.

Examples:
  sluice send --message news.eml --recipients list.csv --from 'bounce+{{id}}@news.example'
                            hand it to the system's spool; the running engine delivers it
  sluice send --message news.eml --recipients list.csv --from bounce@news.example --preview 3
                            look at the first three messages; nothing is sent
  sluice send --message news.eml --recipients list.csv --from bounce@news.example --dry-run
                            check message and list, count recipients; nothing is sent
  sluice send --message news.eml --recipients list.csv --from bounce@news.example \
              --spool spool --deliver --next-hop 127.0.0.1:2525
                            deliver it from here, all of it to one server
  export-recipients | sluice send --message news.eml --recipients - --from bounce@news.example \
              --campaign 2026-05-news --suppress unsubscribed.txt --skip-invalid
                            a list from a pipe; sent once, however often this is run
  sluice send --message alarm.eml --recipients list.csv --from alarm@news.example \
              --priority urgent --notices sender
                            given up early, and then alarm@news.example hears of it

Exit codes: 0 handed off (with --deliver: all delivered), 64 usage, 65 mistakes in message or list,
66 a file is missing, 69 io_uring is not to be had, 73 cannot create, 74 I/O error, 75 the disk is full,
77 not allowed, 78 configuration. With --deliver also 1 some failed for good, 75 some still wait.
)";

struct Arguments {
  SubmissionOptions submission;
  ConfigurationOptions configuration;
  bool deliver = false, json = false, quiet = false;
};

/// What the sender wants to hear of (RFC 3461).
void declare_dsn(CLI::App& app, SubmissionOptions& submission) {
  app.add_option_function<std::string>(
         "--notify",
         [&submission](const std::string& words) {
           const auto notify = engine::smtp::parse_notify(words);
           if (!notify)
             throw CLI::ValidationError("--notify " + words,
                                        "it is never, or success, failure and delay with commas");
           submission.notify = *notify;
           submission.notices = *notify == engine::smtp::notify_never ? engine::Notices::log
                                                                      : engine::Notices::sender;
         },
         "Tell the envelope sender of these, by mail, and ask the receiving servers to do so (RFC "
         "3461)")
      ->type_name("never|success,failure,delay")
      ->excludes("--notices");
  app.add_option_function<std::string>(
         "--ret",
         [&submission](const std::string& word) {
           const auto returned = engine::smtp::parse_returned_content(word);
           if (!returned) throw CLI::ValidationError("--ret " + word, "it is headers or full");
           submission.returned = *returned;
         },
         "How much of the message such a notice brings back. Default: headers")
      ->type_name("headers|full");
  app.add_option("--envid", submission.envelope_id, "A name for the message that notices repeat")
      ->type_name("TEXT")
      ->check([](const std::string& text) {
        return engine::smtp::is_envelope_id(text)
                   ? std::string()
                   : "at most 100 printable characters of US-ASCII (+, = and blanks count three)";
      });
}

void declare(CLI::App& app, Arguments& arguments) {
  SubmissionOptions& submission = arguments.submission;
  app.add_option("--message", submission.message, "The newsletter: RFC 5322 with tags")
      ->type_name("FILE")
      ->required();
  app.add_option("--recipients", submission.recipients,
                 "CSV with a header row, or JSON Lines; - for standard input")
      ->type_name("FILE")
      ->required();
  app.add_option("--from", submission.from, "Envelope sender, where bounces go; may hold tags")
      ->type_name("ADDRESS")
      ->required();
  app.add_option("--campaign", submission.campaign,
                 "A name for this newsletter; the same name is sent once. Default: made up")
      ->type_name("ID");
  arguments.configuration.declare_spool(app);
  app.add_option("--next-hop", submission.next_hop,
                 "Deliver to this server, instead of what the configuration says")
      ->type_name("HOST:PORT");
  app.add_option("--source", submission.source,
                 "Send from this [[source]] of the configuration, wherever it goes")
      ->type_name("NAME");
  app.add_option("--suppress", submission.suppress,
                 "Who gets nothing: an address or @domain a line, or CSV with a column email")
      ->type_name("FILE");
  app.add_option("--unsubscribe", submission.unsubscribe,
                 "Add List-Unsubscribe for one click (RFC 8058); may hold tags")
      ->type_name("URL");
  app.add_option_function<std::string>(
         "--notices",
         [&submission](const std::string& word) {
           if (word != "log" && word != "sender")
             throw CLI::ValidationError("--notices " + word, "it is log or sender");
           submission.notices = word == "log" ? engine::Notices::log : engine::Notices::sender;
         },
         "Who is told of failures and delays: the log only (default), or the envelope sender too, "
         "by mail (RFC 3464)")
      ->type_name("log|sender");
  declare_dsn(app, submission);
  declare_priority(app, submission.priority,
                   "How long it may wait: the configuration's expire keys. Default: as Priority, "
                   "Importance or X-Priority of the message says, else normal");
  app.add_flag("--skip-invalid", submission.skip_invalid,
               "Leave bad rows out, into FILE.rejected.csv, and send the rest");
  app.add_flag("--deliver", arguments.deliver,
               "Deliver from here, until every recipient has a fate");
  auto* preview = app.add_option("--preview", submission.preview,
                                 "Print the messages of the first N rows; send nothing")
                      ->type_name("N")
                      ->check(CLI::Range(1u, 1000u));
  auto* dry_run = app.add_flag("--dry-run", submission.dry_run, "Do everything but the hand-off");
  app.get_option("--deliver")->excludes(preview)->excludes(dry_run);
  arguments.configuration.declare_config(app);
  app.add_flag("--json", arguments.json, "Print the result as JSON");
  app.add_flag("--quiet", arguments.quiet, "No progress");
}

nlohmann::ordered_json json_of(const Receipt& receipt) {
  return {{"campaign", receipt.campaign},
          {"known_before", receipt.was_known},
          {"recipients", receipt.recipients},
          {"duplicates", receipt.duplicates},
          {"suppressed", receipt.suppressed},
          {"rejected", receipt.rejected},
          {"bytes", receipt.bytes}};
}

nlohmann::ordered_json json_of_look(const Receipt& receipt, const Submission& submission) {
  nlohmann::ordered_json out = {{"recipients", receipt.recipients},
                                {"duplicates", receipt.duplicates},
                                {"suppressed", receipt.suppressed},
                                {"rejected", receipt.rejected},
                                {"rejections", submission.rejections()},
                                {"destinations", receipt.destinations_count},
                                {"largest_destinations", nlohmann::json::array()},
                                {"previews", nlohmann::json::array()}};
  for (const auto& [name, recipients] : receipt.destinations) {
    out["largest_destinations"].push_back({{"destination", name}, {"recipients", recipients}});
  }
  for (const Preview& preview : submission.previews()) {
    out["previews"].push_back({{"sender", preview.sender},
                               {"recipient", preview.recipient},
                               {"message", preview.content}});
  }
  return out;
}

void print(const nlohmann::ordered_json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string recipients_text(const Receipt& receipt) {
  return fmt::format("{} {} at {} {}", grouped(receipt.recipients),
                     receipt.recipients == 1 ? "recipient" : "recipients",
                     grouped(receipt.destinations_count),
                     receipt.destinations_count == 1 ? "destination" : "destinations");
}

void print_dropped(const Receipt& receipt) {
  fmt::print("duplicates  {:>12}\n", grouped(receipt.duplicates));
  fmt::print("suppressed  {:>12}\n", grouped(receipt.suppressed));
  fmt::print("rejected    {:>12}\n", grouped(receipt.rejected));
}

void print_dry_run(const Receipt& receipt, const Submission& submission) {
  for (const std::string& line : submission.rejections()) fmt::print(stderr, "{}\n", line);
  fmt::print("{}; nothing was handed off\n", recipients_text(receipt));
  print_dropped(receipt);
  fmt::print("largest destinations\n");
  for (const auto& [name, recipients] : receipt.destinations) {
    fmt::print("{:>24}  {}\n", grouped(recipients), name);
  }
}

void print_previews(const std::vector<Preview>& previews) {
  for (size_t i = 0; i < previews.size(); ++i) {
    fmt::print("{:=<78}\n", fmt::format("==== message {} of {} ", i + 1, previews.size()));
    fmt::print("MAIL FROM:<{}>\nRCPT TO:<{}>\n{:-<78}\n", previews[i].sender, previews[i].recipient,
               "");
    fmt::print("{}", previews[i].content);
  }
  fmt::print("{:=<78}\n", previews.empty() ? "==== no row of these is sent to " : "");
}

void print_receipt(const Receipt& receipt, const std::string& spool) {
  if (receipt.was_known) {
    fmt::print("campaign {} was handed off before: nothing was added\n", receipt.campaign);
    return;
  }
  fmt::print("campaign {}: {} handed off to {}, {}\n", receipt.campaign, recipients_text(receipt),
             spool, bytes_text(receipt.bytes));
  if (receipt.duplicates + receipt.suppressed + receipt.rejected > 0) print_dropped(receipt);
}

/// Draws how far the submission is, on a terminal; what it returns is whether to go on.
class SendProgress {
 public:
  explicit SendProgress(bool quiet) : is_drawn_(!quiet && isatty(STDERR_FILENO) == 1) {}
  ~SendProgress() {
    if (is_drawn_) fmt::print(stderr, "\r\x1b[K");
  }

  bool operator()(const char* doing, uint64_t done) const {
    if (is_drawn_) fmt::print(stderr, "\r{} rows {}\x1b[K", grouped(done), doing);
    return Interrupt::number() == 0;
  }

 private:
  bool is_drawn_;
};

int report(const SubmissionFailure& failure) {
  for (const std::string& line : failure.lines) fmt::print(stderr, "{}\n", line);
  if (failure.lines.size() > 1) fmt::print(stderr, "sluice send: nothing was handed off\n");
  return exit_code(failure.kind);
}

void report_rejected(const Receipt& receipt) {
  if (receipt.rejected_path.empty()) return;
  fmt::print(stderr, "sluice send: {} {} left out; see {}\n", grouped(receipt.rejected),
             receipt.rejected == 1 ? "row was" : "rows were", receipt.rejected_path);
}

/// Everything up to the hand-off. The receipt, or the process's exit code.
std::expected<Receipt, int> submit(const Arguments& arguments) {
  // A ring of the size of one process that writes one file.
  auto proactor = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
  if (!proactor) {
    fmt::print(stderr, "sluice send: {}\n", proactor.error().message);
    return std::unexpected(EX_UNAVAILABLE);
  }
  Submission submission(arguments.submission, **proactor);
  const auto result = [&] {
    const SendProgress progress(arguments.quiet);
    submission.progress = [&](const char* doing, uint64_t done) { return progress(doing, done); };
    return submission.run();
  }();
  if (!result) return std::unexpected(report(result.error()));
  report_rejected(*result);
  const SubmissionOptions& options = arguments.submission;
  const bool is_look = options.dry_run || options.preview > 0;
  if (is_look && arguments.json) {
    print(json_of_look(*result, submission));
  } else if (is_look) {
    if (options.preview > 0) print_previews(submission.previews());
    if (options.dry_run) print_dry_run(*result, submission);
  } else if (!arguments.json) {
    print_receipt(*result, options.spool);
  } else if (!arguments.deliver) {
    print(json_of(*result));
  }
  return *result;
}

}  // namespace

int send_command(int argc, char** argv) {
  CLI::App app("Hands a newsletter to a spool, whole or not at all; or delivers it right here.",
               "sluice send");
  app.footer(examples);
  Arguments arguments;
  declare(app, arguments);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  auto config = arguments.configuration.load();
  if (!config) return EX_CONFIG;
  arguments.submission.spool = config->spool;
  arguments.submission.hostname = config->hostname;
  if (!arguments.submission.next_hop.empty()) {
    engine::Config scratch = *config;
    if (const auto mistake = scratch.override_next_hop(arguments.submission.next_hop)) {
      fmt::print(stderr, "sluice send: --next-hop {}: {}\n", arguments.submission.next_hop,
                 *mistake);
      return EX_USAGE;
    }
  }

  if (const std::string& source = arguments.submission.source;
      !source.empty() && !config->has_source(source)) {
    fmt::print(stderr, "sluice send: --source {}: the configuration has no [[source.\"{}\"]]\n",
               terminal_text(source), terminal_text(source));
    return EX_USAGE;
  }

  std::expected<Receipt, int> receipt;
  {
    const Interrupt interrupt;
    receipt = submit(arguments);
    if (Interrupt::number() != 0 && (!receipt || arguments.deliver)) Interrupt::end_process();
  }
  if (!receipt) return receipt.error();
  if (!arguments.deliver) return EX_OK;
  return deliver({.config = std::move(*config),
                  .receipt = std::move(*receipt),
                  .json = arguments.json,
                  .quiet = arguments.quiet});
}

}  // namespace sluice::tools
