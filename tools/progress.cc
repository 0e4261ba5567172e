#include "tools/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace sluice::tools {

std::string held_text(uint64_t held, const std::string& spool) {
  return fmt::format(
      "{} held: sluice queue list --spool {} shows why, sluice queue release lets {} go",
      held == 1 ? "1 recipient is" : grouped(held) + " recipients are", spool,
      held == 1 ? "it" : "them");
}

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {}

io::Duration Progress::interval() const {
  return terminal_ ? io::Duration(std::chrono::milliseconds(200))
                   : io::Duration(std::chrono::seconds(10));
}

std::string Progress::line(const engine::Totals& totals, io::Instant now) {
  const uint64_t fates = totals.fates();
  if (last_ != io::Instant{} && now > last_) {
    const double span_s = std::chrono::duration<double>(now - last_).count();
    const double current = static_cast<double>(fates - std::min(fates, last_fates_)) / span_s;
    rate_per_s_ = rate_per_s_ == 0 ? current : 0.7 * rate_per_s_ + 0.3 * current;
  }
  last_ = now, last_fates_ = fates;
  const uint64_t left = totals.recipients - std::min(totals.recipients, fates);
  std::string time_left = "-";
  if (left == 0)
    time_left = "done";
  else if (rate_per_s_ >= 1)
    time_left = fmt::format("{:.0f} s left", static_cast<double>(left) / rate_per_s_ + 0.5);
  const uint64_t percent = totals.recipients == 0 ? 0 : 100 * fates / totals.recipients;
  constexpr uint64_t bar_cells = 20;
  std::string bar;
  if (terminal_)
    for (uint64_t i = 0; i < bar_cells; ++i)
      bar += i * 100 < percent * bar_cells ? "\u2588" : "\u2591";
  return fmt::format("{}{}{:3}%  {} of {}  {}/s  deferred {}  failed {}  sessions {}  {}", bar,
                     bar.empty() ? "" : " ", percent, grouped(fates), grouped(totals.recipients),
                     grouped(static_cast<uint64_t>(rate_per_s_)), grouped(totals.deferred),
                     grouped(totals.failed + totals.expired + totals.unreadable), totals.sessions,
                     time_left);
}

void Progress::update(const engine::Totals& totals, io::Instant now) {
  if (quiet_) return;
  const std::string text = line(totals, now);
  if (terminal_)
    fmt::print(stderr, "\r\033[K{}", text);
  else
    fmt::print(stderr, "{}\n", text);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  if (std::exchange(drawn_, false) && terminal_) fmt::print(stderr, "\r\033[K");
}

std::string grouped(uint64_t number) {
  std::string text = fmt::format("{}", number);
  for (size_t i = text.size(); i > 3;) text.insert(i -= 3, ",");
  return text;
}

std::string bytes_text(uint64_t bytes) {
  constexpr const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace sluice::tools
