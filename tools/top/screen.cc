#include "tools/top/screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/progress.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t phases_max = 8, reasons_max = 5;
termios terminal_before;  // what a Screen puts back

std::string rate_text(double per_s) {
  return per_s >= 100 ? grouped(static_cast<uint64_t>(per_s)) : fmt::format("{:.1f}", per_s);
}

}  // namespace

std::string screen_text(const std::string& address, const Activity& activity,
                        const std::vector<DestinationRow>& destinations, size_t lines_max) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("sluice at {}: {}, {} of memory, {} in campaigns' files", address,
                              activity.is_ready ? "ready" : "NOT READY",
                              bytes_text(activity.memory_bytes), bytes_text(activity.spool_bytes)));
  lines.push_back(fmt::format("waiting {}, of them deferred {}, held {}; sessions {}; campaigns {}",
                              grouped(activity.waiting), grouped(activity.deferred),
                              grouped(activity.held), grouped(activity.sessions),
                              grouped(activity.campaigns)));
  lines.push_back("");
  lines.push_back(fmt::format("{:<18} {:>10} {:>14}", "", "A SECOND", "SINCE START"));
  for (const Activity::Row& row : activity.rates)
    lines.push_back(
        fmt::format("{:<18} {:>10} {:>14}", row.name, rate_text(row.per_s), grouped(row.total)));
  if (!activity.phases.empty()) {
    lines.push_back("");
    lines.push_back(fmt::format("{:<18} {:>10} {:>14} {:>10}", "SESSIONS WAIT FOR", "SESSIONS",
                                "WAITS/S", "MEAN MS"));
  }
  for (size_t i = 0; i < std::min(activity.phases.size(), phases_max); ++i) {
    const Activity::Phase& phase = activity.phases[i];
    lines.push_back(fmt::format("{} {:>10.1f} {:>14} {:>10.1f}",
                                fitted(terminal_text(phase.name), 18), phase.sessions,
                                rate_text(phase.per_s), phase.mean_ms));
  }
  if (!activity.reasons.empty()) {
    lines.push_back("");
    lines.push_back(fmt::format("{:<18} {:>10} {:>14}", "DEFERRED AT", "A SECOND", "SINCE START"));
  }
  for (size_t i = 0; i < std::min(activity.reasons.size(), reasons_max); ++i) {
    const Activity::Reason& reason = activity.reasons[i];
    lines.push_back(fmt::format("{} {:>10} {:>14}", fitted(terminal_text(reason.name), 18),
                                rate_text(reason.per_s), grouped(reason.total)));
  }
  if (!destinations.empty()) {
    lines.push_back("");
    lines.push_back(fmt::format("{} {:>11} {:>11} {:>11}  {}", fitted("DESTINATION", 32), "WAITING",
                                "DEFERRED", "HELD", "NEXT TRY (UTC)"));
  }
  for (const DestinationRow& row : destinations) {
    const std::string next =
        row.next_attempt.substr(0, std::min<size_t>(19, row.next_attempt.size()));
    lines.push_back(fmt::format("{} {:>11} {:>11} {:>11}  {}", fitted(terminal_text(row.name), 32),
                                grouped(row.waiting), grouped(row.deferred), grouped(row.held),
                                next.empty() ? "-" : terminal_text(next)));
  }
  std::string out;
  for (size_t i = 0; i < std::min(lines.size(), lines_max); ++i) out += lines[i] + "\n";
  return out;
}

std::string screen_json(const Activity& activity, const std::vector<DestinationRow>& destinations) {
  Json out = {{"ready", activity.is_ready},          {"waiting", activity.waiting},
              {"deferred", activity.deferred},       {"held", activity.held},
              {"sessions", activity.sessions},       {"campaigns", activity.campaigns},
              {"spool_bytes", activity.spool_bytes}, {"memory_bytes", activity.memory_bytes}};
  for (const Activity::Row& row : activity.rates) {
    std::string name(row.name);
    std::ranges::replace(name, ' ', '_');
    out["rates"][name] = {{"per_s", row.per_s}, {"total", row.total}};
  }
  out["phases"] = Json::array();
  for (const Activity::Phase& phase : activity.phases)
    out["phases"].push_back({{"phase", phase.name},
                             {"sessions", phase.sessions},
                             {"per_s", phase.per_s},
                             {"mean_ms", phase.mean_ms}});
  out["deferral_reasons"] = Json::array();
  for (const Activity::Reason& reason : activity.reasons)
    out["deferral_reasons"].push_back(
        {{"reason", reason.name}, {"per_s", reason.per_s}, {"total", reason.total}});
  out["destinations"] = Json::array();
  for (const DestinationRow& row : destinations)
    out["destinations"].push_back({{"destination", row.name},
                                   {"waiting", row.waiting},
                                   {"deferred", row.deferred},
                                   {"held", row.held}});
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Screen::Screen() {
  ::tcgetattr(STDIN_FILENO, &terminal_before);
  termios plain = terminal_before;
  plain.c_lflag &= static_cast<tcflag_t>(~(ICANON | ECHO));
  ::tcsetattr(STDIN_FILENO, TCSANOW, &plain);
  std::fputs("\x1b[?1049h\x1b[?25l", stdout);  // another screen, without a cursor
}

Screen::~Screen() {
  std::fputs("\x1b[?25h\x1b[?1049l", stdout);
  std::fflush(stdout);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

void Screen::show(const std::string& text) {
  std::string out = "\x1b[H";
  for (const char c : text) out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
  fmt::print("{}\x1b[J", out);
  std::fflush(stdout);
}

size_t Screen::lines() const {
  winsize size{};
  constexpr size_t usual = 24;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0) return usual - 1;
  return size.ws_row - size_t{1};
}

char Screen::wait_for_key(int ms) {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (::poll(&input, 1, ms) <= 0) return 0;
  char key = 'q';  // nobody can press one any more
  return ::read(STDIN_FILENO, &key, 1) < 0 ? char{0} : key;
}

}  // namespace sluice::tools
