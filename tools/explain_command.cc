#include "tools/explain_command.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <ctime>

#include "engine/dkim/keyring.h"
#include "engine/dns/host_finder.h"
#include "engine/dns/resolv_conf.h"
#include "engine/intake/address.h"
#include "engine/source_choice.h"
#include "engine/sts/policy_folder.h"
#include "engine/sts/record.h"
#include "engine/tlsrpt/day_folder.h"
#include "engine/tlsrpt/record.h"
#include "io/event_loop.h"
#include "io/uring.h"
#include "tools/command_line.h"
#include "tools/explain/explanation.h"
#include "tools/log_filter.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::SpoolView;

namespace {

constexpr const char* examples = R"(
Says where mail to an address goes, by which hosts, under which limits and deadlines, when it would be tried if
nobody answered, and when it would be given up; each with the line of the configuration that decided it. What
already waits for the address is told too, why, and until when. Looks only; DNS is asked now.

Examples:
  sluice explain ann@example.net
  sluice explain example.net --priority urgent      a domain will do
  sluice explain ann@example.net --sender bounce@news.example
  sluice explain ann@example.net --from news@news.example    which DKIM keys sign
  sluice explain ann@example.net --at '2026-11-22 05:27'
  sluice explain ann@example.net --json | jq -r '.timeline[] | [.time, .event] | @tsv'

Exit codes: 0 done, 64 usage, 69 io_uring is not to be had, 78 configuration.
)";

struct Arguments {
  std::string address, next_hop, at, sender, from;
  ConfigurationOptions configuration;
  std::optional<engine::Priority> priority;
  bool json = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.add_option("address", arguments.address, "Whom to write to; a domain will do")
      ->type_name("ADDRESS")
      ->required();
  app.add_option("--at", arguments.at,
                 "Accepted at this time (UTC: 2026-11-22, \"2026-11-22 05:27\"; or an age: 2h); "
                 "default: now")
      ->type_name("TIME");
  declare_priority(app, arguments.priority,
                   "How long it may wait: the configuration's expire keys; default: normal");
  app.add_option("--next-hop", arguments.next_hop,
                 "As if delivered to this server, instead of what the configuration says")
      ->type_name("HOST:PORT");
  app.add_option("--sender", arguments.sender,
                 "As a campaign of this envelope sender: what it is sent from")
      ->type_name("ADDRESS");
  app.add_option("--from", arguments.from,
                 "As a message of this author (From): which DKIM keys sign it; default: --sender's")
      ->type_name("ADDRESS");
  arguments.configuration.declare_spool(app);
  arguments.configuration.declare_config(app);
  app.add_flag("--json", arguments.json, "Print the result as JSON");
}

int complain(std::string_view message, int code) {
  fmt::print(stderr, "sluice explain: {}\n", message);
  return code;
}

/// As log_time() writes it.
io::WallTime wall_time(const std::string& text) {
  std::tm tm{};
  int64_t us = 0;
  std::sscanf(text.c_str(), "%d-%d-%dT%d:%d:%d.%ldZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
              &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us);
  tm.tm_year -= 1900, tm.tm_mon -= 1;
  return io::WallTime(std::chrono::seconds(timegm(&tm)) + std::chrono::microseconds(us));
}

/// What is wrong with the address; "" when nothing is.
std::string take_address(const std::string& text, Explanation& out) {
  if (text.find('@') == text.npos) {
    const auto good = engine::intake::normalise_domain(text, out.domain);
    return good ? "" : fmt::format("'{}' is neither an address nor a domain", text);
  }
  const auto parts = engine::intake::normalise_address(text, out.address);
  if (!parts) return fmt::format("'{}' is not an address: {}", text, parts.error());
  out.domain = out.address.substr(parts->local_bytes + 1);
  return "";
}

/// Which keys sign messages of this author.
void find_signatures(const engine::Config& config, Explanation& out) {
  std::map<std::string, std::vector<engine::DkimPolicy>, std::less<>> by_domain;
  for (const engine::DkimPolicy& policy : config.dkim) by_domain[policy.domain].push_back(policy);
  out.has_keys = !by_domain.empty();
  if (const auto* const found = engine::dkim::for_author(by_domain, out.author))
    out.signatures = *found;
}

/// What DNS says: the hosts, and of the domain's MTA-STS policy.
void look_up(io::Proactor& proactor, const engine::Config& config, Explanation& out) {
  io::EventLoop loop(proactor);
  engine::dns::HostFinder::Options options{
      .servers = config.dns_servers.empty() ? engine::dns::system_servers() : config.dns_servers,
      .trust = config.dnssec,
      .hostname = config.hostname};
  for (const engine::ListenPolicy& listen : config.listen)
    if (const auto own = io::SocketAddress::parse(listen.address))
      options.own_addresses.push_back(*own);
  engine::dns::HostFinder finder(loop, std::move(options));
  const engine::DestinationPolicy& policy = out.policy;
  finder.find({.domain = policy.next_hops.empty() ? out.domain : "",
               .next_hops = policy.next_hops,
               .port = policy.port,
               .has_dane = policy.has_dane()},
              [&](engine::dns::HostListPtr list) { out.hosts = std::move(list); });
  bool has_texts = !policy.next_hops.empty() || !policy.has_mta_sts();
  if (!has_texts)
    finder.find_texts("_mta-sts." + out.domain, [&](const engine::dns::RecordSet& set) {
      out.policy_id = engine::sts::policy_id(set.texts);
      has_texts = true;
    });
  bool has_reports = !policy.next_hops.empty() || config.tls_report.from.empty();
  if (!has_reports)
    finder.find_texts("_smtp._tls." + out.domain, [&](const engine::dns::RecordSet& set) {
      out.report_uris = engine::tlsrpt::report_uris(set.texts);
      has_reports = true;
    });
  while (!out.hosts || !has_texts || !has_reports) loop.turn();
  out.hosts = engine::reachable_from(policy.source_addresses, std::move(out.hosts));
}

std::optional<engine::tlsrpt::DomainCount> tls_today(const engine::Config& config,
                                                     const std::string& domain, io::WallTime now) {
  auto day =
      engine::tlsrpt::DayFolder(config.spool).read(std::chrono::floor<std::chrono::days>(now));
  const auto* const count = day ? day->find(domain) : nullptr;
  if (count == nullptr) return std::nullopt;
  return *count;
}

}  // namespace

int explain_command(int argc, char** argv) {
  CLI::App app("Says what would become of mail to an address, when, and why.", "sluice explain");
  app.footer(examples);
  Arguments arguments;
  declare(app, arguments);
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  auto config = arguments.configuration.load();
  if (!config) return EX_CONFIG;
  if (!arguments.next_hop.empty())
    if (const auto mistake = config->override_next_hop(arguments.next_hop))
      return complain(fmt::format("--next-hop {}: {}", arguments.next_hop, *mistake), EX_USAGE);
  auto ring = io::open_uring({.entries = 256, .sockets_max = 64, .receive_buffers = 64});
  if (!ring) return complain(ring.error().message, EX_UNAVAILABLE);

  Explanation out{.now = (*ring)->wall(),
                  .priority = arguments.priority.value_or(engine::Priority::normal)};
  out.accepted_at = out.now;
  if (!arguments.at.empty()) {
    const auto at = log_time(arguments.at, out.now);
    if (!at)
      return complain(
          fmt::format("--at {}: write 2026-11-22, \"2026-11-22 05:27\" or 2h", arguments.at),
          EX_USAGE);
    out.accepted_at = wall_time(*at);
  }
  if (const std::string mistake = take_address(arguments.address, out); !mistake.empty())
    return complain(terminal_text(mistake), EX_USAGE);
  out.author =
      engine::dkim::author_domain(arguments.from.empty() ? arguments.sender : arguments.from);
  if (!arguments.from.empty() && out.author.empty())
    return complain(terminal_text("--from " + arguments.from + ": write an address"), EX_USAGE);
  find_signatures(*config, out);
  out.policy = config->destination(out.domain, "", config->sender(arguments.sender).source);
  out.lines = policy_table(*config, out.domain, arguments.sender);
  out.notices = config->notices;
  out.hostname = config->hostname;
  look_up(**ring, *config, out);
  if (out.policy.next_hops.empty() && out.policy.has_mta_sts())
    out.kept_policy = engine::sts::PolicyFolder(config->spool).read(out.domain);
  if (!out.report_uris.empty()) out.tls_today = tls_today(*config, out.domain, out.now);
  out.events = timeline(out.policy, out.priority, out.accepted_at);
  if (auto view = SpoolView::open(**ring, *config))
    out.waiting = waiting_there(**view, out.address, out.domain);
  else if (view.error().code != spool::ErrorCode::missing)
    complain(view.error().message, 0);
  fmt::print("{}", arguments.json ? out.json() : out.text());
  return EX_OK;
}

}  // namespace sluice::tools
