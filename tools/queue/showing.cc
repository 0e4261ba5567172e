#include "tools/queue/showing.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/queue/range_set.h"
#include "engine/report/entry_reader.h"
#include "engine/report/time_text.h"
#include "tools/clock_text.h"
#include "tools/explain/policy_table.h"
#include "tools/progress.h"
#include "tools/queue/selection.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::SpoolView;
using engine::report::visit_entries;
using engine::report::Waiting;
using engine::report::WaitingMail;
using engine::report::WaitState;

namespace {

using Json = nlohmann::ordered_json;
using engine::queue::Rule;

/// Names and values, in order: lines for people, members for JSON.
class Sheet {
 public:
  void add(std::string_view name, Json value, std::string text) {
    json_[std::string(name)] = std::move(value);
    std::string label(name);
    std::ranges::replace(label, '_', ' ');
    text_ += fmt::format("  {:<13}{}\n", label, terminal_text(text));
  }
  void add(std::string_view name, const std::string& text) { add(name, text, text); }
  void add(std::string_view name, uint64_t number) { add(name, number, grouped(number)); }
  void add(std::string_view name, io::WallTime time, io::WallTime now) {
    add(name, engine::report::time_text(time),
        fmt::format("{} ({})", clock_text(time), from_now_text(time, now)));
  }
  std::string text(const std::string& head) const { return terminal_text(head) + "\n" + text_; }
  std::string json() const {
    return json_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  Json json_ = Json::object();
  std::string text_;
};

std::string command_text(const Rule& rule) {
  if (rule.action == Rule::Action::etrn) return "ETRN " + rule.destination;
  std::string out = fmt::format("sluice queue {}", engine::queue::name(rule.action));
  if (!rule.campaign.empty()) out += " --campaign " + rule.campaign;
  if (!rule.destination.empty()) out += " --destination " + rule.destination;
  if (!rule.recipients.empty()) out += " for single recipients";
  if (rule.campaign.empty() && rule.destination.empty() && rule.recipients.empty()) out += " --all";
  return out;
}

std::string hold_reason(const SpoolView& view, const WaitingMail& mail, uint32_t number) {
  const Rule* holding = nullptr;
  for (const Rule& rule : view.rules())
    if (rule.action == Rule::Action::hold &&
        engine::queue::contains(engine::queue::ranges_of(rule, mail.campaign()), number))
      holding = &rule;
  const std::string_view domain = mail.campaign().groups()[mail.group_of(number)].name;
  if (holding == nullptr)
    return fmt::format("hold ({})", place_text(view.config().place(domain, "hold")));
  return fmt::format("{} ({}, rule {})", command_text(*holding), clock_text(holding->at),
                     holding->name);
}

void describe(Sheet& sheet, SpoolView& view, const WaitingMail& mail, const Waiting& waiting,
              size_t group) {
  const std::string_view domain = mail.campaign().groups()[group].name;
  sheet.add("destination", std::string(domain));
  const engine::DestinationPolicy& policy = mail.policy(group);
  std::string route = "MX";
  for (const std::string& hop : policy.next_hops) route = (route == "MX" ? "" : route + ", ") + hop;
  sheet.add("route", route);
  sheet.add("accepted", mail.mailing().accepted_at(waiting.number), view.now());
  sheet.add("state", std::string(name(waiting.state)));
  sheet.add("why", wait_reason(view, mail, waiting));
  sheet.add("attempts", waiting.attempts);
  if (waiting.state == WaitState::waiting ||
      (waiting.next_attempt && *waiting.next_attempt <= view.now()))
    sheet.add("next_attempt", engine::report::time_text(view.now()), "now");
  else if (waiting.next_attempt)
    sheet.add("next_attempt", *waiting.next_attempt, view.now());
  sheet.add("expires", mail.expires(waiting.number, group), view.now());
  const std::string_view key = expiry_key(mail.message().priority);
  sheet.add("expires_by",
            fmt::format("{} ({})", key, place_text(view.config().place(domain, key))));
}

std::string show_recipient(SpoolView& view, const WaitingMail& mail, const Waiting& waiting,
                           bool json) {
  const std::string id = fmt::format("{:016x}.{}", mail.campaign().info().uid, waiting.number);
  Sheet sheet;
  std::string address = "(its block is damaged: address and fields are lost)";
  visit_entries(view.proactor(), mail, {waiting.number, 1}, [&](engine::Held& held) {
    engine::report::LogEntry entry;
    std::string message_id;
    held.describe(entry, message_id);
    address = held.recipient.address;
    sheet.add("recipient", address);
    sheet.add("sender", held.sender.empty() ? "<>" : held.sender);
    if (!message_id.empty()) sheet.add("message_id", message_id);
  });
  sheet.add("id", id);
  sheet.add("campaign", mail.campaign().info().id);
  describe(sheet, view, mail, waiting, mail.group_of(waiting.number));
  sheet.add("history", fmt::format("sluice log --id {} --history", id));
  return json ? sheet.json() : sheet.text(address);
}

std::string show_campaign(SpoolView& view, const WaitingMail& mail, bool json) {
  const spool::CampaignInfo& info = mail.campaign().info();
  const spool::Progress& progress = mail.progress();
  std::array<uint64_t, 5> by_state{};
  io::WallTime first = io::WallTime::max(), last = io::WallTime::min();
  size_t known = SIZE_MAX;
  mail.visit({0, mail.campaign().recipients()}, [&](const Waiting& waiting, size_t group) {
    ++by_state[static_cast<size_t>(waiting.state)];
    if (std::exchange(known, group) == group) return;
    first = std::min(first, mail.expires(waiting.number, group));
    last = std::max(last, mail.expires(waiting.number, group));
  });
  Sheet sheet;
  sheet.add("campaign", info.id);
  sheet.add("uid", fmt::format("{:016x}", info.uid));
  if (mail.is_of_letters())
    sheet.add("messages", uint64_t{mail.campaign().blocks()});
  else
    sheet.add("sender", std::string(mail.message().sender.empty() ? "<>" : mail.message().sender));
  sheet.add("accepted", info.accepted_at, view.now());
  sheet.add("priority", std::string(engine::name(mail.message().priority)));
  if (!mail.message().next_hop.empty()) sheet.add("next_hop", std::string(mail.message().next_hop));
  if (!mail.message().source.empty()) sheet.add("source", std::string(mail.message().source));
  sheet.add("recipients", mail.campaign().recipients());
  if (!mail.is_of_letters()) sheet.add("destinations", mail.campaign().groups().size());
  for (const auto& [name, count] : {std::pair{"delivered", progress.delivered},
                                    {"failed", progress.failed},
                                    {"expired", progress.expired},
                                    {"in_doubt", progress.in_doubt}})
    sheet.add(name, count);
  sheet.add("cancelled", progress.cancelled + by_state[static_cast<size_t>(WaitState::cancelled)]);
  sheet.add("waiting", by_state[static_cast<size_t>(WaitState::waiting)]);
  sheet.add("deferred", by_state[static_cast<size_t>(WaitState::deferred)]);
  sheet.add("held", by_state[static_cast<size_t>(WaitState::held)] +
                        by_state[static_cast<size_t>(WaitState::in_doubt)]);
  if (known != SIZE_MAX) {
    sheet.add("expires", first, view.now());
    if (last != first) sheet.add("expires_last", last, view.now());
  }
  for (const Rule& rule : view.rules())
    if (!engine::queue::ranges_of(rule, mail.campaign()).empty())
      sheet.add("rule",
                fmt::format("{} ({}, {})", command_text(rule), clock_text(rule.at), rule.name));
  sheet.add("file", mail.campaign().path());
  sheet.add("bytes", mail.campaign().bytes());
  sheet.add("history", fmt::format("sluice log --campaign {} --history", info.id));
  return json ? sheet.json() : sheet.text(info.id);
}

}  // namespace

std::string wait_reason(const SpoolView& view, const WaitingMail& mail, const Waiting& waiting) {
  switch (waiting.state) {
    case WaitState::held: return hold_reason(view, mail, waiting.number);
    case WaitState::in_doubt:
      return fmt::format(
          "the final dot of its last attempt may have left, and nobody read the reply: it may have "
          "arrived (report.in_doubt){}",
          view.config().in_doubt == engine::InDoubtPolicy::hold
              ? "; sluice queue release sends it again"
              : "");
    case WaitState::cancelled: return "cancelled; the engine has not come to it yet";
    case WaitState::deferred:
      return waiting.is_shared
                 ? fmt::format("connections to {} failed; it waits with all others there",
                               mail.campaign().groups()[mail.group_of(waiting.number)].name)
                 : "an attempt failed; its reasons are in the log";
    case WaitState::waiting: break;
  }
  return view.engine_pid() ? "its turn has not come" : "no engine runs on this spool";
}

std::optional<std::string> queue_show(SpoolView& view, const std::string& id, bool json) {
  const auto stretch = engine::queue::parse_stretch(id);
  for (const WaitingMail& mail : view.mails()) {
    const spool::CampaignInfo& info = mail.campaign().info();
    if (info.id == id) return show_campaign(view, mail, json);
    if (!stretch || stretch->uid != info.uid) continue;
    if (id.find('.') == id.npos) return show_campaign(view, mail, json);
    if (const auto waiting = mail.find(stretch->first))
      return show_recipient(view, mail, *waiting, json);
  }
  return std::nullopt;
}

}  // namespace sluice::tools
