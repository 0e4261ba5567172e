#include "tools/clock_text.h"

#include <fmt/format.h>

#include <cstdint>

#include "engine/report/time_text.h"

namespace sluice::tools {

std::string clock_text(io::WallTime time) {
  constexpr size_t to_the_second = 19;
  std::string out = engine::report::time_text(time).substr(0, to_the_second);
  out[10] = ' ';
  return out;
}

std::string span_text(io::Duration span) {
  if (span < io::Duration{}) span = -span;
  // Rounded: 59.9 s are a minute for people.
  const int64_t seconds = (span.count() + 500'000'000) / 1'000'000'000;
  if (seconds == 0 && span.count() > 0) return fmt::format("{}ms", span.count() / 1'000'000);
  const struct {
    int64_t seconds;
    char unit;
  } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
  int64_t rest = seconds;
  std::string out;
  for (const auto& unit : units) {
    const int64_t count = rest / unit.seconds;
    const bool is_second = !out.empty();
    if (count > 0) out += fmt::format("{}{}{}", is_second ? " " : "", count, unit.unit);
    rest %= unit.seconds;
    if (is_second) break;
  }
  return out.empty() ? "0s" : out;
}

std::string from_now_text(io::WallTime time, io::WallTime now) {
  const io::Duration span = time - now;
  if (span > -std::chrono::milliseconds(500) && span < std::chrono::milliseconds(500)) return "now";
  return span > io::Duration{} ? "in " + span_text(span) : span_text(span) + " ago";
}

}  // namespace sluice::tools
