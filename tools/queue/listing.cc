#include "tools/queue/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/report/entry_reader.h"
#include "engine/report/time_text.h"
#include "tools/clock_text.h"
#include "tools/progress.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::SpoolView;
using engine::report::visit_entries;
using engine::report::Waiting;
using engine::report::WaitingMail;
using engine::report::WaitState;

namespace {

using Json = nlohmann::ordered_json;

struct Row {
  Waiting waiting;
  size_t group = 0;
  std::string address;  // "" when its block is damaged
};

std::string id_of(const WaitingMail& mail, uint32_t number) {
  return fmt::format("{:016x}.{}", mail.campaign().info().uid, number);
}

/// Reads the addresses of rows, which ascend.
void read_addresses(io::Proactor& proactor, const WaitingMail& mail, std::vector<Row>& rows) {
  for (size_t at = 0; at < rows.size();) {
    const uint32_t first = rows[at].waiting.number;
    const spool::BlockRef block = mail.campaign().block(mail.campaign().block_of(first));
    const uint32_t end = block.first + block.count;
    size_t row = at;
    while (at < rows.size() && rows[at].waiting.number < end) ++at;
    const uint32_t last = rows[at - 1].waiting.number;
    visit_entries(proactor, mail, {first, last - first + 1}, [&](const engine::Held& held) {
      while (row < at && rows[row].waiting.number < held.item.number) ++row;
      if (row < at && rows[row].waiting.number == held.item.number)
        rows[row].address = held.recipient.address;
    });
  }
}

std::string minute_text(io::WallTime time) { return clock_text(time).substr(0, 16); }

std::string text_of(const WaitingMail& mail, const Row& row, io::WallTime now) {
  const Waiting& waiting = row.waiting;
  const std::string next = waiting.state == WaitState::waiting ? "now"
                           : !waiting.next_attempt             ? "-"
                           : *waiting.next_attempt <= now      ? "now"
                                                               : minute_text(*waiting.next_attempt);
  const std::string who = row.address.empty() ? "(its block is damaged)" : row.address;
  return fmt::format("{} {} {:>3} {} {} {}\n", fitted(id_of(mail, waiting.number), 25),
                     fitted(terminal_text(who), 26), waiting.attempts,
                     fitted(name(waiting.state), 9), fitted(next, 16),
                     minute_text(mail.expires(waiting.number, row.group)));
}

Json json_of(const WaitingMail& mail, const Row& row) {
  const Waiting& waiting = row.waiting;
  Json out = {{"id", id_of(mail, waiting.number)},
              {"campaign", mail.campaign().info().id},
              {"recipient", row.address},
              {"state", name(waiting.state)},
              {"attempts", waiting.attempts}};
  out["next_attempt"] =
      waiting.next_attempt ? Json(engine::report::time_text(*waiting.next_attempt)) : Json();
  out["expires"] = engine::report::time_text(mail.expires(waiting.number, row.group));
  return out;
}

}  // namespace

std::string queue_list(SpoolView& view, const Selection& selection, size_t rows_max, bool json) {
  std::string out;
  if (!json)
    out = fmt::format("{} {} {:>3} {} {} {}\n", fitted("ID", 25), fitted("RECIPIENT", 26), "TRY",
                      fitted("STATE", 9), fitted("NEXT TRY (UTC)", 16), "EXPIRES");
  Json list = Json::array();
  uint64_t shown = 0, all = 0;
  for (const WaitingMail& mail : view.mails()) {
    std::vector<Row> rows;
    for (const engine::Range range : selection.ranges(view.proactor(), mail))
      mail.visit(range, [&](const Waiting& waiting, size_t group) {
        if (all++ < rows_max) rows.push_back({waiting, group, ""});
      });
    read_addresses(view.proactor(), mail, rows);
    for (const Row& row : rows) {
      ++shown;
      if (json)
        list.push_back(json_of(mail, row));
      else
        out += text_of(mail, row, view.now());
    }
  }
  if (json)
    return Json({{"recipients", std::move(list)}, {"more", all - shown}})
               .dump(2, ' ', false, Json::error_handler_t::replace) +
           "\n";
  if (all == 0) return "nothing waits that fits\n";
  if (shown < all)
    out += fmt::format("... and {} more; see more with --limit, or select\n", grouped(all - shown));
  return out;
}

}  // namespace sluice::tools
