#include "engine/report/time_text.h"

#include <fmt/format.h>

#include <chrono>

namespace sluice::engine::report {

void TimeText::append(std::string& out, io::WallTime time) {
  using namespace std::chrono;
  const auto second = floor<seconds>(time);
  if (second.time_since_epoch().count() != second_) {
    const auto day = floor<days>(second);
    const year_month_day date(day);
    const hh_mm_ss clock(second - day);
    prefix_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                          clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    second_ = second.time_since_epoch().count();
  }
  char digits[] = "000000Z";
  auto rest = duration_cast<microseconds>(time - second).count();
  for (int i = 5; rest != 0; --i, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
  out += prefix_;
  out.append(digits, sizeof digits - 1);
}

std::string time_text(io::WallTime time) {
  std::string out;
  TimeText().append(out, time);
  return out;
}

}  // namespace sluice::engine::report
