#include "tools/queue_command.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/report/spool_view.h"
#include "io/uring.h"
#include "tools/command_line.h"
#include "tools/progress.h"
#include "tools/queue/listing.h"
#include "tools/queue/selection.h"
#include "tools/queue/showing.h"
#include "tools/queue/steering.h"
#include "tools/queue/summary.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::SpoolView;

namespace {

using engine::queue::Rule;

constexpr const char* examples = R"(
Verbs:
  summary   how many wait, by destination or campaign
  list      recipients that wait: state, attempts, next attempt, expiry
  show ID   all that is known of one recipient or campaign
  hold      nothing is tried any more, also of mail that comes later, until released; expiry goes on
  release   what is held goes on
  retry     what waits for another attempt is tried now
  cancel    what waits ends: no attempt, no notice

Options that select recipients must all fit. What an engine that runs is told it does at once; at rest, the next
one that starts does it. Looking disturbs nobody.

Examples:
  sluice queue summary                                who waits, by destination
  sluice queue list --destination example.net --limit 20
  sluice queue show a44485c9e910e465.17               why, since when and until when
  sluice queue hold --destination '*.example.net'     before a maintenance over there
  sluice queue release --destination '*.example.net'
  sluice queue retry --destination example.com        it is back: do not wait for the next attempt
  sluice queue cancel --campaign 2026-05-news         stop a newsletter
  sluice queue cancel --recipient ann@example.net --dry-run

Exit codes: 0 done, 64 usage, 66 no spool, or nothing waits that fits, 69 io_uring is not to be had,
74 I/O error, 75 the disk is full, 77 not allowed, 78 configuration.
)";

struct Arguments {
  std::string verb, id;
  ConfigurationOptions configuration;
  QueueQuestion question;
  bool all = false, campaigns = false, dry_run = false, json = false;
  std::optional<size_t> rows_max;
};

void declare(CLI::App& app, Arguments& arguments) {
  QueueQuestion& question = arguments.question;
  app.add_option("verb", arguments.verb, "What to do")
      ->type_name("summary|list|show|hold|release|retry|cancel")
      ->required()
      ->check([](const std::string& verb) {
        for (const char* known : {"summary", "list", "show", "hold", "release", "retry", "cancel"})
          if (verb == known) return std::string();
        return fmt::format("'{}' is no verb: summary, list, show, hold, release, retry or cancel",
                           verb);
      });
  app.add_option("what", arguments.id, "show: a recipient or a campaign")->type_name("ID");
  app.add_option("--id", question.ids,
                 "This recipient, or the recipients of this campaign, as the log has it; several "
                 "times: one of them")
      ->type_name("ID")
      ->expected(1)
      ->take_all();
  app.add_option("--campaign", question.campaign, "Recipients of this campaign")->type_name("ID");
  app.add_option("--destination", question.destination,
                 "Recipients at this domain; *.DOMAIN for those below it")
      ->type_name("DOMAIN");
  app.add_option("--recipient", question.recipient, "This address")->type_name("ADDRESS");
  app.add_option("--sender", question.sender,
                 "Mail of this sender: as --from was written, or as it is for one recipient")
      ->type_name("ADDRESS");
  app.add_flag("--all", arguments.all, "hold, release, retry, cancel: everything that waits");
  app.add_flag("--campaigns", arguments.campaigns, "summary: by campaign, not by destination");
  app.add_option("--limit", arguments.rows_max,
                 "Lines at most; default: 20 of a summary, 100 of a list")
      ->type_name("N");
  app.add_flag("--dry-run", arguments.dry_run,
               "hold, release, retry, cancel: count who is meant; do nothing");
  arguments.configuration.declare_spool(app);
  arguments.configuration.declare_config(app);
  app.add_flag("--json", arguments.json, "Print the result as JSON");
}

std::optional<Rule::Action> action_of(std::string_view verb) {
  for (const auto action :
       {Rule::Action::hold, Rule::Action::release, Rule::Action::retry, Rule::Action::cancel})
    if (engine::queue::name(action) == verb) return action;
  return std::nullopt;
}

/// What is wrong with the options of this verb; "" when nothing is.
std::string misuse(const Arguments& arguments) {
  const bool steers = action_of(arguments.verb).has_value();
  if (arguments.verb == "show" && arguments.id.empty()) return "show what? name its ID";
  if (arguments.verb != "show" && !arguments.id.empty())
    return fmt::format("{} takes no ID here; write --id {}", arguments.verb, arguments.id);
  if (!steers && (arguments.all || arguments.dry_run))
    return "--all and --dry-run are of hold, release, retry and cancel";
  if (arguments.verb != "summary" && arguments.campaigns) return "--campaigns is of summary";
  if (steers && arguments.all != arguments.question.is_empty())
    return arguments.all ? "--all and a selection cannot both be meant"
                         : fmt::format("{} what? select recipients, or say --all", arguments.verb);
  return "";
}

int exit_code(const spool::Error& error) {
  switch (error.code) {
    case spool::ErrorCode::missing:     return EX_NOINPUT;
    case spool::ErrorCode::no_space:    return EX_TEMPFAIL;
    case spool::ErrorCode::not_allowed: return EX_NOPERM;
    default:                            return EX_IOERR;
  }
}

int complain(std::string_view message, int code) {
  fmt::print(stderr, "sluice queue: {}\n", message);
  return code;
}

std::string done_text(Rule::Action action, const Steered& steered, bool dry_run) {
  const std::string who = fmt::format(
      "{} recipient{}{}", grouped(steered.recipients), steered.recipients == 1 ? "" : "s",
      steered.campaigns > 1 ? fmt::format(" of {} campaigns", steered.campaigns) : "");
  const std::string_view would = dry_run ? "would be " : "";
  switch (action) {
    case Rule::Action::hold:    return fmt::format("{} {}held", who, would);
    case Rule::Action::release: return fmt::format("{} {}released", who, would);
    case Rule::Action::retry:   return fmt::format("{} {}tried again now", who, would);
    case Rule::Action::cancel:  return fmt::format("{} {}cancelled", who, would);
    case Rule::Action::etrn:    break;  // clients say it
  }
  return who;
}

int steer_and_tell(SpoolView& view, Selection& selection, Rule::Action action,
                   const Arguments& arguments) {
  const auto steered = steer(view, selection, action, arguments.dry_run);
  if (!steered) return complain(steered.error().message, exit_code(steered.error()));
  const bool is_nothing = steered->recipients == 0 && (steered->rule.empty() || arguments.dry_run);
  if (arguments.json) {
    nlohmann::ordered_json out = {{"action", engine::queue::name(action)},
                                  {"recipients", steered->recipients},
                                  {"campaigns", steered->campaigns},
                                  {"dry_run", arguments.dry_run},
                                  {"rule", steered->rule}};
    out["engine"] =
        view.engine_pid() ? nlohmann::ordered_json(*view.engine_pid()) : nlohmann::ordered_json();
    fmt::print("{}\n", out.dump(2));
  } else if (is_nothing) {
    return complain("nothing waits that this would change", EX_NOINPUT);
  } else {
    std::string text = done_text(action, *steered, arguments.dry_run);
    if (action == Rule::Action::hold && !selection.is_by_number())
      text += ", and so is what comes later";
    if (!arguments.dry_run)
      text += view.engine_pid()
                  ? fmt::format("; the engine (process {}) does it now", *view.engine_pid())
                  : "; no engine runs here: the next one that starts does it";
    fmt::print("{}\n", text);
  }
  return is_nothing ? EX_NOINPUT : EX_OK;
}

int run(SpoolView& view, Selection& selection, const Arguments& arguments) {
  if (const auto action = action_of(arguments.verb))
    return steer_and_tell(view, selection, *action, arguments);
  if (arguments.verb == "show") {
    const auto text = queue_show(view, arguments.id, arguments.json);
    if (!text)
      return complain(fmt::format("{}: nothing of that name waits; what became of it: sluice log "
                                  "--id {} --history",
                                  terminal_text(arguments.id), terminal_text(arguments.id)),
                      EX_NOINPUT);
    fmt::print("{}", *text);
  } else if (arguments.verb == "list") {
    fmt::print("{}", queue_list(view, selection, arguments.rows_max.value_or(100), arguments.json));
  } else {
    fmt::print("{}", queue_summary(view, selection,
                                   {.by_campaign = arguments.campaigns,
                                    .rows_max = arguments.rows_max.value_or(20),
                                    .json = arguments.json}));
  }
  return EX_OK;
}

}  // namespace

int queue_command(int argc, char** argv) {
  CLI::App app("Sees and steers what waits in a spool, beside a running engine or at rest.",
               "sluice queue");
  app.footer(examples);
  Arguments arguments;
  declare(app, arguments);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  if (const std::string mistake = misuse(arguments); !mistake.empty())
    return complain(mistake + "; see sluice queue --help", EX_USAGE);
  auto selection = Selection::make(arguments.question);
  if (!selection) return complain(selection.error(), EX_USAGE);
  auto config = arguments.configuration.load();
  if (!config) return EX_CONFIG;
  auto ring = io::open_uring({.entries = 256, .sockets_max = 16, .receive_buffers = 16});
  if (!ring) return complain(ring.error().message, EX_UNAVAILABLE);
  auto view = SpoolView::open(**ring, *config);
  if (!view) return complain(view.error().message, exit_code(view.error()));
  for (const std::string& problem : (*view)->problems()) complain(terminal_text(problem), 0);
  return run(**view, *selection, arguments);
}

}  // namespace sluice::tools
