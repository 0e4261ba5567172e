#include "tools/queue/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tools/clock_text.h"
#include "tools/progress.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

namespace {

using Json = nlohmann::ordered_json;

struct Row {
  std::string_view name;
  uint64_t waiting = 0, deferred = 0, held = 0, in_doubt = 0, cancelled = 0;
  io::WallTime oldest = io::WallTime::max(), next_attempt = io::WallTime::max(),
               expires = io::WallTime::max();

  uint64_t all() const { return waiting + deferred + held + in_doubt; }
  void take(const Waiting& recipient, io::WallTime now);
  void take(const Row& other);
};

void Row::take(const Waiting& recipient, io::WallTime now) {
  switch (recipient.state) {
    case WaitState::waiting:   ++waiting; break;
    case WaitState::deferred:  ++deferred; break;
    case WaitState::held:      ++held; break;
    case WaitState::in_doubt:  ++in_doubt; break;
    case WaitState::cancelled: ++cancelled; break;
  }
  if (recipient.state == WaitState::waiting)
    next_attempt = std::min(next_attempt, now);
  else if (recipient.next_attempt)
    next_attempt = std::min(next_attempt, std::max(now, *recipient.next_attempt));
}

void Row::take(const Row& other) {
  waiting += other.waiting, deferred += other.deferred, held += other.held;
  in_doubt += other.in_doubt, cancelled += other.cancelled;
  oldest = std::min(oldest, other.oldest);
  next_attempt = std::min(next_attempt, other.next_attempt);
  expires = std::min(expires, other.expires);
}

std::vector<Row> count(SpoolView& view, const Selection& selection, bool by_campaign) {
  std::vector<Row> rows;
  std::unordered_map<std::string_view, size_t> by_name;
  for (const WaitingMail& mail : view.mails()) {
    const auto groups = mail.campaign().groups();
    size_t known = SIZE_MAX, row = 0;
    for (const engine::Range range : selection.ranges(view.proactor(), mail))
      mail.visit(range, [&](const Waiting& recipient, size_t group) {
        if (group != known && !(by_campaign && known != SIZE_MAX)) {
          const std::string_view name =
              by_campaign ? std::string_view(mail.campaign().info().id) : groups[group].name;
          const auto [it, is_new] = by_name.try_emplace(name, rows.size());
          if (is_new) rows.push_back({.name = name});
          row = it->second;
        }
        if (group != known) {
          rows[row].oldest = std::min(rows[row].oldest, mail.campaign().info().accepted_at);
          rows[row].expires = std::min(rows[row].expires, mail.expires(group));
        }
        known = group;
        rows[row].take(recipient, view.now());
      });
  }
  std::ranges::sort(rows, [](const Row& a, const Row& b) {
    return a.all() != b.all() ? a.all() > b.all() : a.name < b.name;
  });
  return rows;
}

Json json_of(const Row& row) {
  Json out = {{"waiting", row.waiting},
              {"deferred", row.deferred},
              {"held", row.held},
              {"in_doubt", row.in_doubt},
              {"cancelled", row.cancelled}};
  const auto time = [&](const char* key, io::WallTime value) {
    out[key] = value == io::WallTime::max() ? Json() : Json(json_time(value));
  };
  time("oldest", row.oldest);
  time("next_attempt", row.next_attempt);
  time("expires", row.expires);
  return out;
}

std::string text_of(std::string_view name, const Row& row, io::WallTime now) {
  const std::string next = row.next_attempt == io::WallTime::max() ? "-"
                           : row.next_attempt <= now               ? "now"
                                                                   : clock_text(row.next_attempt);
  const std::string oldest = row.oldest == io::WallTime::max() ? "-" : span_text(now - row.oldest);
  return fmt::format("{} {:>11} {:>11} {:>11} {:>9}  {}\n", fitted(terminal_text(name), 28),
                     grouped(row.waiting), grouped(row.deferred), grouped(row.held + row.in_doubt),
                     oldest, next);
}

std::string engine_text(const SpoolView& view) {
  return view.engine_pid() ? fmt::format("engine: process {}", *view.engine_pid())
                           : "engine: none runs on this spool";
}

}  // namespace

std::string queue_summary(SpoolView& view, const Selection& selection,
                          const SummaryOptions& options) {
  const std::vector<Row> rows = count(view, selection, options.by_campaign);
  Row total;
  for (const Row& row : rows) total.take(row);
  const size_t shown = std::min(options.rows_max, rows.size());
  const std::string_view noun = options.by_campaign ? "campaign" : "destination";
  if (options.json) {
    Json out = {{"spool", view.config().spool}};
    out["engine"] = view.engine_pid() ? Json(*view.engine_pid()) : Json();
    out["total"] = json_of(total);
    Json& list = out[options.by_campaign ? "campaigns" : "destinations"] = Json::array();
    for (size_t i = 0; i < shown; ++i) {
      Json row = {{std::string(noun), rows[i].name}};
      row.update(json_of(rows[i]));
      list.push_back(std::move(row));
    }
    out["more"] = rows.size() - shown;
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string out = fmt::format("{} {:>11} {:>11} {:>11} {:>9}  {}\n",
                                fitted(options.by_campaign ? "CAMPAIGN" : "DESTINATION", 28),
                                "WAITING", "DEFERRED", "HELD", "OLDEST", "NEXT TRY (UTC)");
  for (size_t i = 0; i < shown; ++i) out += text_of(rows[i].name, rows[i], view.now());
  if (shown < rows.size())
    out += fmt::format("... and {} more {}s; see them with --limit {}\n",
                       grouped(rows.size() - shown), noun, rows.size());
  out +=
      text_of(fmt::format("all {} {}{}", grouped(rows.size()), noun, rows.size() == 1 ? "" : "s"),
              total, view.now());
  if (total.in_doubt > 0)
    out += fmt::format("{} of those held are in doubt: whether they arrived is not known\n",
                       grouped(total.in_doubt));
  if (total.cancelled > 0)
    out += fmt::format("{} more are cancelled, and end when the engine comes to them\n",
                       grouped(total.cancelled));
  return out + engine_text(view) + "\n";
}

}  // namespace sluice::tools
