#include "tools/queue/summary.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/report/queue_summary.h"
#include "tools/clock_text.h"
#include "tools/progress.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::QueueCount;
using engine::report::QueueSummary;
using engine::report::SpoolView;
using engine::report::WaitingMail;

namespace {

std::string text_of(std::string_view name, const QueueCount& row, io::WallTime now) {
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
  using By = QueueSummary::By;
  const auto summary = QueueSummary::of(
      view, options.by_campaign ? By::campaign : By::destination,
      [&](const WaitingMail& mail) { return selection.ranges(view.proactor(), mail); });
  if (options.json) return summary.json(view, options.rows_max);
  const std::vector<QueueCount>& rows = summary.rows;
  const QueueCount& total = summary.total;
  const size_t shown = std::min(options.rows_max, rows.size());
  const std::string_view noun = options.by_campaign ? "campaign" : "destination";
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
