#include "tools/log_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "engine/config.h"
#include "engine/config_value.h"
#include "engine/nearest_name.h"
#include "engine/report/json_writer.h"
#include "engine/report/time_text.h"

namespace sluice::tools {

using engine::report::LogRecord;

namespace {

constexpr std::string_view event_names[] = {"accepted",  "delivered", "deferred", "failed",
                                            "expired",   "delayed",   "held",     "released",
                                            "cancelled", "in_doubt"};

/// Where lines of ours have their time.
constexpr std::string_view line_start = "{\"time\":\"";
constexpr size_t time_bytes = 27;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return out;
}

/// `"key":"value"` as the log writes it. A quote within a value is escaped there, so these octets
/// are the key's and nothing else's.
std::string needle(std::string_view key, std::string_view value) {
  std::string out;
  engine::report::JsonObject object(out);
  object.string(key, value);
  return out.substr(1);
}

bool contains(std::string_view line, std::string_view octets) {
  return memmem(line.data(), line.size(), octets.data(), octets.size()) != nullptr;
}

std::string line_time(io::WallTime time) {
  std::string out;
  engine::report::TimeText().append(out, time);
  return out;
}

/// local@DOMAIN, the domain as the log writes it.
std::string canonical_address(std::string_view address) {
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos) return std::string(address);
  const std::string_view domain = address.substr(at + 1);
  return std::string(address.substr(0, at + 1)) +
         engine::ascii_domain(domain).value_or(lower(domain));
}

}  // namespace

std::optional<std::string> log_time(std::string_view text, io::WallTime now) {
  if (const auto age = engine::parse_duration(text)) return line_time(now - *age);
  using namespace std::chrono;
  const std::string terminated(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, consumed = 0;
  double second = 0;
  const auto scans = [&](const char* format, auto*... values) {
    consumed = 0;
    std::sscanf(terminated.c_str(), format, values...,
                &consumed);  // NOLINT(cert-err34-c): ranges are checked below
    return consumed > 0;
  };
  const bool is_time =
      scans("%4d-%2d-%2d%*1[T ]%2d:%2d:%lf%n", &year, &month, &day, &hour, &minute, &second) ||
      scans("%4d-%2d-%2d%*1[T ]%2d:%2d%n", &year, &month, &day, &hour, &minute) ||
      scans("%4d-%2d-%2d%n", &year, &month, &day);
  const year_month_day date(std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day)));
  if (!is_time || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
      !(second >= 0 && second < 61))
    return std::nullopt;
  std::string_view zone = text.substr(static_cast<size_t>(consumed));
  minutes offset{};
  if (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':') {
    int hours_east = 0, minutes_east = 0, end = 0;
    std::sscanf(std::string(zone.substr(1)).c_str(), "%2d:%2d%n", &hours_east, &minutes_east,
                &end);  // NOLINT(cert-err34-c)
    if (end != 5 || hours_east > 23 || minutes_east > 59) return std::nullopt;
    offset = hours(hours_east) + minutes(minutes_east);
    if (zone[0] == '-') offset = -offset;
  } else if (!zone.empty() && zone != "Z" && zone != "z") {
    return std::nullopt;
  }
  const auto of_day = hours(hour) + minutes(minute) - offset +
                      microseconds(static_cast<int64_t>(second * 1e6 + 0.5));
  return line_time(io::WallTime(sys_days(date)) + of_day);
}

std::expected<LogFilter, std::string> LogFilter::make(const LogQuestion& question,
                                                      io::WallTime now) {
  LogFilter filter;
  filter.recipient_ = lower(canonical_address(question.recipient));
  filter.id_ = question.id;
  filter.campaign_ = question.campaign;
  filter.destination_ =
      engine::ascii_domain(question.destination).value_or(lower(question.destination));
  filter.events_ = question.events;
  if (!question.destination.empty() && question.destination.starts_with("*."))
    filter.destination_ = "*." + engine::ascii_domain(question.destination.substr(2))
                                     .value_or(lower(question.destination.substr(2)));
  for (const std::string& event : question.events) {
    if (std::ranges::find(event_names, event) != std::end(event_names)) continue;
    const std::string_view near = engine::nearest_name(event, event_names);
    return std::unexpected(
        fmt::format("--event {}: no such event; {}", event,
                    near.empty() ? fmt::format("they are {}", fmt::join(event_names, ", "))
                                 : fmt::format("did you mean {}?", near)));
  }
  for (const auto& [name, text, time] : {std::tuple("--since", &question.since, &filter.since_),
                                         std::tuple("--until", &question.until, &filter.until_)}) {
    if (text->empty()) continue;
    const auto parsed = log_time(*text, now);
    if (!parsed)
      return std::unexpected(
          fmt::format("{} {}: not a time; write 2026-11-22, \"2026-11-22 05:27\", "
                      "2026-11-22T05:27:44Z or an age such as 2h",
                      name, *text));
    *time = *parsed;
  }
  if (!filter.campaign_.empty()) filter.needles_.push_back(needle("campaign", filter.campaign_));
  if (filter.events_.size() == 1) filter.needles_.push_back(needle("event", filter.events_[0]));
  if (!filter.id_.empty()) {
    // Of a whole campaign too: without the closing quote.
    std::string octets = needle("id", filter.id_);
    octets.pop_back();
    filter.needles_.push_back(std::move(octets));
  }
  // Only the domain is written in one way; what stands before it is compared by matches().
  const size_t at = filter.recipient_.rfind('@');
  if (at != std::string::npos) filter.needles_.push_back(filter.recipient_.substr(at) + "\"");
  if (!filter.destination_.empty()) {
    const bool is_pattern = filter.destination_.starts_with("*.");
    filter.needles_.push_back(
        (is_pattern ? filter.destination_.substr(1) : "@" + filter.destination_) + "\"");
  }
  return filter;
}

bool LogFilter::may_match(std::string_view line) const {
  if (line.starts_with(line_start) && line.size() > line_start.size() + time_bytes) {
    const std::string_view time = line.substr(line_start.size(), time_bytes);
    if ((!since_.empty() && time < since_) || (!until_.empty() && time > until_)) return false;
  }
  return std::ranges::all_of(needles_,
                             [line](const std::string& octets) { return contains(line, octets); });
}

bool LogFilter::is_of_destination(std::string_view recipient) const {
  const std::string domain =
      lower(recipient.substr(std::min(recipient.size(), recipient.rfind('@') + 1)));
  return destination_.starts_with("*.") ? domain.ends_with(std::string_view(destination_).substr(1))
                                        : domain == destination_;
}

bool LogFilter::matches(const LogRecord& record) const {
  if ((!since_.empty() && record.time < since_) || (!until_.empty() && record.time > until_))
    return false;
  if (!recipient_.empty() && lower(record.recipient) != recipient_ &&
      lower(record.original_recipient) != recipient_)
    return false;
  if (!id_.empty() && record.id != id_ && !record.id.starts_with(id_ + ".")) return false;
  if (!campaign_.empty() && record.campaign != campaign_) return false;
  if (!destination_.empty() && !is_of_destination(record.recipient)) return false;
  return events_.empty() || std::ranges::find(events_, record.event) != events_.end();
}

}  // namespace sluice::tools
