#include "engine/report/queue_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "engine/report/time_text.h"

namespace sluice::engine::report {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const QueueCount& count) {
  Json out = {{"waiting", count.waiting},
              {"deferred", count.deferred},
              {"held", count.held},
              {"in_doubt", count.in_doubt},
              {"cancelled", count.cancelled}};
  const auto time = [&](const char* key, io::WallTime value) {
    out[key] = value == io::WallTime::max() ? Json() : Json(time_text(value));
  };
  time("oldest", count.oldest);
  time("next_attempt", count.next_attempt);
  time("expires", count.expires);
  return out;
}

}  // namespace

void QueueCount::take(const Waiting& recipient, io::WallTime now) {
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

void QueueCount::take(const QueueCount& other) {
  waiting += other.waiting, deferred += other.deferred, held += other.held;
  in_doubt += other.in_doubt, cancelled += other.cancelled;
  oldest = std::min(oldest, other.oldest);
  next_attempt = std::min(next_attempt, other.next_attempt);
  expires = std::min(expires, other.expires);
}

QueueSummary QueueSummary::of(const SpoolView& view, By by, const Choice& choice) {
  QueueSummary summary{.by = by, .rows = {}, .total = {}};
  std::vector<QueueCount>& rows = summary.rows;
  std::unordered_map<std::string_view, size_t> by_name;
  for (const WaitingMail& mail : view.mails()) {
    const auto groups = mail.campaign().groups();
    size_t known = SIZE_MAX, row = 0;
    for (const Range range : choice(mail))
      mail.visit(range, [&](const Waiting& recipient, size_t group) {
        if (group != known && !(by == By::campaign && known != SIZE_MAX)) {
          const std::string_view name =
              by == By::campaign ? std::string_view(mail.campaign().info().id) : groups[group].name;
          const auto [it, is_new] = by_name.try_emplace(name, rows.size());
          if (is_new) rows.push_back({.name = name});
          row = it->second;
        }
        if (group != known) {
          rows[row].oldest =
              std::min(rows[row].oldest, mail.mailing().accepted_at(recipient.number));
          rows[row].expires = std::min(rows[row].expires, mail.expires(recipient.number, group));
        }
        known = group;
        rows[row].take(recipient, view.now());
      });
  }
  std::ranges::sort(rows, [](const QueueCount& a, const QueueCount& b) {
    return a.all() != b.all() ? a.all() > b.all() : a.name < b.name;
  });
  for (const QueueCount& row : rows) summary.total.take(row);
  return summary;
}

std::string QueueSummary::json(const SpoolView& view, size_t rows_max) const {
  const bool is_by_campaign = by == By::campaign;
  const size_t shown = std::min(rows_max, rows.size());
  Json out = {{"spool", view.config().spool}};
  out["engine"] = view.engine_pid() ? Json(*view.engine_pid()) : Json();
  out["total"] = json_of(total);
  Json& list = out[is_by_campaign ? "campaigns" : "destinations"] = Json::array();
  for (size_t i = 0; i < shown; ++i) {
    Json row = {{is_by_campaign ? "campaign" : "destination", rows[i].name}};
    row.update(json_of(rows[i]));
    list.push_back(std::move(row));
  }
  out["more"] = rows.size() - shown;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace sluice::engine::report
