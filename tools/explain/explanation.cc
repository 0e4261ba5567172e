#include "tools/explain/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/config_value.h"
#include "engine/report/time_text.h"
#include "io/check.h"
#include "tools/clock_text.h"
#include "tools/progress.h"
#include "tools/queue/selection.h"
#include "tools/queue/showing.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::SpoolView;
using engine::report::Waiting;
using engine::report::WaitingMail;
using engine::report::WaitState;

namespace {

using Json = nlohmann::ordered_json;
using Kind = TimelineEvent::Kind;

/// So many events are shown at both ends of a long row of them.
constexpr size_t shown_at_ends = 20, shown_max = 50;

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::attempt:   return "attempt";
    case Kind::notice:    return "delayed";
    case Kind::exhausted: return "failed";
    case Kind::expired:   return "expired";
    case Kind::cut:       return "more";
  }
  return "";
}

std::string enhanced_text(const engine::smtp::EnhancedCode& code) {
  return fmt::format("{}.{}.{}", code.status, code.subject, code.detail);
}

std::string dane_text(const engine::tls::DanePolicy& dane) {
  const size_t count = dane.records.size();
  return fmt::format("DANE: {}, {} TLSA record{}: {}", terminal_text(dane.owner()), count,
                     count == 1 ? "" : "s",
                     dane.is_usable() ? "TLS, with a certificate that matches"
                                      : "not usable, so TLS with any certificate");
}

std::string_view fate_of(const engine::dns::Failure& failure) {
  return failure.result == engine::smtp::Result::permanent
             ? "mail fails at once"
             : "mail waits, and it is looked up again at the next attempt";
}

}  // namespace

WaitingThere waiting_there(SpoolView& view, const std::string& address, const std::string& domain) {
  const auto there = Selection::make({.destination = domain});
  CHECK(there.has_value());
  WaitingThere out;
  for (const WaitingMail& mail : view.mails())
    for (const engine::Range range : there->ranges(view.proactor(), mail))
      mail.visit(range, [&](const Waiting& waiting, size_t) {
        if (waiting.state == WaitState::cancelled) return;
        ++out.recipients;
        out.held += waiting.state == WaitState::held || waiting.state == WaitState::in_doubt;
        out.deferred += waiting.state == WaitState::deferred;
        if (waiting.next_attempt)
          out.next_attempt =
              std::min(out.next_attempt.value_or(io::WallTime::max()), *waiting.next_attempt);
      });
  const auto own =
      address.empty() ? std::unexpected(std::string()) : Selection::make({.recipient = address});
  if (!own) return out;
  for (const WaitingMail& mail : view.mails())
    for (const engine::Range range : own->ranges(view.proactor(), mail))
      mail.visit(range, [&](const Waiting& waiting, size_t group) {
        out.own.push_back(
            {.id = fmt::format("{:016x}.{}", mail.campaign().info().uid, waiting.number),
             .campaign = mail.campaign().info().id,
             .state = std::string(engine::report::name(waiting.state)),
             .reason = wait_reason(view, mail, waiting),
             .attempts = waiting.attempts,
             .next_attempt = waiting.next_attempt,
             .expires = mail.expires(waiting.number, group)});
      });
  return out;
}

const PolicyLine& Explanation::line(std::string_view key) const {
  const auto found = std::ranges::find(lines, key, &PolicyLine::key);
  CHECK(found != lines.end());
  return *found;
}

std::string Explanation::hosts_text() const {
  const PolicyLine& hop = line("next_hop");
  std::string out = fmt::format("\nRoute: next_hop = {} ({})\n", terminal_text(hop.value),
                                terminal_text(hop.place));
  if (const auto& failure = hosts->failure)
    return out + fmt::format("  no host: {} {}; {}\n", enhanced_text(failure->enhanced),
                             terminal_text(failure->reason), fate_of(*failure));
  for (const engine::dns::Host& host : hosts->hosts) {
    out += fmt::format("  {:>5} {} {}\n", host.preference, fitted(terminal_text(host.name), 40),
                       host.address.text());
    if (host.dane) out += fmt::format("        {}\n", dane_text(*host.dane));
  }
  for (const engine::dns::UnsafeHost& host : hosts->unsafe)
    out += fmt::format("    --- {} must not be used: {}\n", terminal_text(host.name),
                       terminal_text(host.reason));
  const auto same = std::ranges::adjacent_find(hosts->hosts, [](const auto& a, const auto& b) {
    return a.preference == b.preference && a.name != b.name;
  });
  if (same != hosts->hosts.end())
    out += "  hosts of the same preference are tried in random order\n";
  return out;
}

/// "": the system chooses.
std::string Explanation::sources_text() const {
  if (policy.source_addresses.empty()) return "";
  const PolicyLine& source = line("source");
  std::string out = fmt::format("\nSent from: source = {} ({})\n", terminal_text(source.value),
                                terminal_text(source.place));
  for (const engine::SourceAddress& from : policy.source_addresses)
    out += fmt::format("  {} {} weight {}\n", fitted(from.text(), 40),
                       fitted(from.hostname.empty() ? hostname : from.hostname, 30), from.weight);
  return out;
}

/// Which keys sign the message, and when.
std::string Explanation::signatures_text() const {
  if (!has_keys) return "";
  if (author.empty())
    return "\nSigned (DKIM): as the From field has it; --from ADDRESS tells by which keys\n";
  std::string out = fmt::format("\nSigned (DKIM), From at {}\n", terminal_text(author));
  if (signatures.empty()) out += "  by no key\n";
  for (const engine::DkimPolicy& by : signatures) {
    out += fmt::format("  {} d={} {}", fitted("s=" + by.selector, 16), fitted(by.domain, 30),
                       terminal_text(by.key));
    if (now < by.start) out += fmt::format(", from {} on", clock_text(by.start));
    if (by.end != io::WallTime::max())
      out += fmt::format(", {} {}", now < by.end ? "until" : "no more since", clock_text(by.end));
    out += "\n";
  }
  return out;
}

/// The domain's MTA-STS policy: what is kept, and whether DNS speaks of another.
std::string Explanation::policy_text() const {
  if (!policy_id && !has_policy_in_force()) return "";
  const PolicyLine& key = line("mta_sts");
  std::string out =
      fmt::format("\nMTA-STS: mta_sts = {} ({})\n", key.value, terminal_text(key.place));
  if (has_policy_in_force()) {
    const engine::sts::Policy& kept = *kept_policy->policy;
    out += fmt::format("  policy {}, mode {}, in force until {}\n", terminal_text(kept_policy->id),
                       name(kept.mode), clock_text(kept_policy->expires));
    for (const std::string& mx : kept.mx) out += fmt::format("    mx {}\n", terminal_text(mx));
    for (const engine::dns::Host& host : hosts->hosts)
      if (kept.mode != engine::sts::Policy::Mode::none && !kept.names(host.name))
        out += fmt::format("  {} is not one of these{}\n", terminal_text(host.name),
                           kept.mode == engine::sts::Policy::Mode::enforce
                               ? ": it must not be used, but for usable TLSA records"
                               : "");
  }
  if (policy_id && (!has_policy_in_force() || kept_policy->id != *policy_id))
    out +=
        fmt::format("  DNS tells of policy {}, which the next delivery fetches from mta-sts.{}\n",
                    terminal_text(*policy_id), terminal_text(domain));
  return out;
}

/// Who is told of what TLS comes to, and what that is today, if something was counted.
std::string Explanation::reports_text() const {
  std::string out;
  for (const std::string& uri : report_uris)
    out += fmt::format("{}  {}\n", out.empty() ? "\nTLS reports go to\n" : "", terminal_text(uri));
  if (!tls_today) return out;
  const auto [fine, failed] = tls_today->totals();
  return out + fmt::format("  today: {} connections as they should be, {} that failed\n",
                           grouped(fine), grouped(failed));
}

/// `prefix` "" stands for keys without a dot.
std::string Explanation::lines_text(std::string_view heading, std::string_view prefix) const {
  std::string out = fmt::format("\n{}\n", heading);
  for (const PolicyLine& line : lines) {
    const bool is_wanted = prefix.empty() ? line.key.find('.') == line.key.npos &&
                                                line.key != "next_hop" && line.key != "source"
                                          : line.key.starts_with(prefix);
    if (is_wanted)
      out += fmt::format("  {} {} {}\n", fitted(line.key, 30),
                         fitted(terminal_text(line.value), 20), terminal_text(line.place));
  }
  return out;
}

std::string Explanation::waiting_text() const {
  if (!waiting) return "";
  std::string out =
      fmt::format("\nWaiting in the spool for {}: {}", domain, grouped(waiting->recipients));
  if (waiting->recipients > 0)
    out +=
        fmt::format(" ({} deferred, {} held)", grouped(waiting->deferred), grouped(waiting->held));
  if (waiting->next_attempt)
    out += fmt::format(", next try {}", from_now_text(std::max(now, *waiting->next_attempt), now));
  out += "\n";
  for (const WaitingThere::Own& own : waiting->own) {
    out +=
        fmt::format("  {} of campaign {}: {}, {} attempt{}\n", own.id, terminal_text(own.campaign),
                    own.state, own.attempts, own.attempts == 1 ? "" : "s");
    out += fmt::format("    why      {}\n", terminal_text(own.reason));
    if (own.next_attempt && *own.next_attempt > now)
      out += fmt::format("    next try {} ({})\n", clock_text(*own.next_attempt),
                         from_now_text(*own.next_attempt, now));
    out += fmt::format("    expires  {} ({})\n    history  sluice log --id {} --history\n",
                       clock_text(own.expires), from_now_text(own.expires, now), own.id);
  }
  return out;
}

std::string Explanation::timeline_text() const {
  const PolicyLine& expire = line(expiry_key(priority));
  std::string out = fmt::format("\nIf nothing answers: accepted {}, priority {}\n",
                                clock_text(accepted_at), engine::name(priority));
  if (policy.hold != engine::HoldPolicy::no)
    out += fmt::format("  held until released: hold = {} ({})\n", line("hold").value,
                       terminal_text(line("hold").place));
  const bool is_fixed = policy.retry.connect_interval > io::Duration{};
  const PolicyLine& pace = line(is_fixed                        ? "retry.connect_interval"
                                : policy.retry.schedule.empty() ? "retry.first"
                                                                : "retry.schedule");
  const size_t end = events.size() > shown_max ? events.size() - shown_at_ends : 0;
  for (size_t i = 0; i < events.size(); ++i) {
    const TimelineEvent& event = events[i];
    if (event.kind == Kind::attempt && i >= shown_at_ends && i < end) {
      if (i == shown_at_ends)
        out += fmt::format("  ... {} more; see all with --json\n", end - shown_at_ends);
      continue;
    }
    const std::string spread = event.spread > io::Duration{} ? "± " + span_text(event.spread) : "";
    std::string what;
    switch (event.kind) {
      case Kind::attempt:
        what = fmt::format("try {}", event.attempt);
        if (event.attempt > 1) what += fmt::format(", {} later", span_text(event.delay));
        if (event.attempt == 2)
          what += fmt::format(": {} ({})", pace.key, terminal_text(pace.place));
        break;
      case Kind::notice:
        what = fmt::format("delay notice: expire.warn = {} ({})", line("expire.warn").value,
                           terminal_text(line("expire.warn").place));
        break;
      case Kind::exhausted:
        what = fmt::format("given up: retry.connect_attempts_max = {} ({})",
                           line("retry.connect_attempts_max").value,
                           terminal_text(line("retry.connect_attempts_max").place));
        break;
      case Kind::expired:
        what = fmt::format("expired, given up: {} = {} ({})", expire.key, expire.value,
                           terminal_text(expire.place));
        break;
      case Kind::cut: what = "more attempts than are worth listing"; break;
    }
    out += fmt::format("  {} {} {}\n", clock_text(event.at), fitted(spread, 12), what);
  }
  const auto connect = policy.timeout[static_cast<size_t>(engine::smtp::Stage::connect)];
  out += fmt::format(
      "  A host that does not even refuse takes {} (timeout.connect) of each attempt besides.\n",
      engine::duration_text(connect));
  out +=
      notices == engine::Notices::sender
          ? "  Notices go to the sender of relayed mail, and of campaigns with --notices sender.\n"
          : "  No notices are sent: report.notices = log.\n";
  return out;
}

std::string Explanation::text() const {
  std::string out = fmt::format("{}\n", address.empty() ? domain : address);
  out += hosts_text();
  out += sources_text();
  out += signatures_text();
  out += policy_text();
  out += reports_text();
  out += waiting_text();
  out += lines_text("Limits, TLS, hold", "");
  out += lines_text("Deadlines", "timeout.");
  out += lines_text("Retry", "retry.");
  out += lines_text("Expiry", "expire.");
  return out + timeline_text();
}

std::string Explanation::json() const {
  Json out = {{"address", address}, {"destination", domain}, {"hosts", Json::array()}};
  for (const engine::dns::Host& host : hosts->hosts) {
    Json row = {
        {"preference", host.preference}, {"host", host.name}, {"remote", host.address.text()}};
    if (host.dane) row["dane"] = {{"name", host.dane->owner()}, {"usable", host.dane->is_usable()}};
    out["hosts"].push_back(std::move(row));
  }
  for (const engine::dns::UnsafeHost& host : hosts->unsafe)
    out["unsafe"].push_back({{"host", host.name}, {"reason", host.reason}});
  for (const engine::SourceAddress& from : policy.source_addresses)
    out["sources"].push_back({{"source", from.source},
                              {"local", from.text()},
                              {"hostname", from.hostname.empty() ? hostname : from.hostname},
                              {"weight", from.weight}});
  for (const engine::DkimPolicy& by : signatures)
    out["dkim"].push_back({{"domain", by.domain},
                           {"selector", by.selector},
                           {"key", by.key},
                           {"signs", now >= by.start && now < by.end}});
  if (const auto& failure = hosts->failure)
    out["failure"] = {{"permanent", failure->result == engine::smtp::Result::permanent},
                      {"enhanced", enhanced_text(failure->enhanced)},
                      {"reason", failure->reason}};
  if (policy_id) out["mta_sts"]["id"] = *policy_id;
  if (has_policy_in_force())
    out["mta_sts"]["policy"] = {{"id", kept_policy->id},
                                {"mode", name(kept_policy->policy->mode)},
                                {"mx", kept_policy->policy->mx},
                                {"expires", engine::report::time_text(kept_policy->expires)}};
  if (!report_uris.empty()) out["tls_reports"]["rua"] = report_uris;
  if (tls_today) {
    const auto [fine, failed] = tls_today->totals();
    out["tls_reports"]["today"] = {{"successful", fine}, {"failed", failed}};
  }
  for (const PolicyLine& line : lines)
    out["policy"][std::string(line.key)] = {{"value", line.value}, {"place", line.place}};
  out["accepted"] = engine::report::time_text(accepted_at);
  out["priority"] = engine::name(priority);
  for (const TimelineEvent& event : events) {
    Json row = {{"event", name(event.kind)}, {"time", engine::report::time_text(event.at)}};
    if (event.attempt > 0) row["attempt"] = event.attempt;
    row["spread_s"] = std::chrono::duration<double>(event.spread).count();
    out["timeline"].push_back(std::move(row));
  }
  if (waiting) {
    out["waiting"] = {{"recipients", waiting->recipients},
                      {"deferred", waiting->deferred},
                      {"held", waiting->held},
                      {"own", Json::array()}};
    for (const WaitingThere::Own& own : waiting->own)
      out["waiting"]["own"].push_back(
          {{"id", own.id},
           {"campaign", own.campaign},
           {"state", own.state},
           {"reason", own.reason},
           {"attempts", own.attempts},
           {"next_attempt",
            own.next_attempt ? Json(engine::report::time_text(*own.next_attempt)) : Json()},
           {"expires", engine::report::time_text(own.expires)}});
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::tools
