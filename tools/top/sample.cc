#include "tools/top/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace sluice::tools {

namespace {

constexpr std::string_view reason_family = "sluice_deferral_reasons_total{";
constexpr std::string_view phase_family = "sluice_phase_duration_seconds_sum{";

uint64_t whole(double value) { return value > 0 ? static_cast<uint64_t>(std::llround(value)) : 0; }

/// The value of a label in `series`, as /metrics writes it.
std::string label(std::string_view series, std::string_view name) {
  const std::string key = fmt::format("{}=\"", name);
  const size_t at = series.find(key);
  if (at == series.npos) return {};
  const size_t begin = at + key.size();
  return std::string(series.substr(begin, series.find('"', begin) - begin));
}

std::string reason_text(std::string_view series) {
  const std::string code = label(series, "code");
  return label(series, "phase") + (code == "none"    ? ", no reply"
                                   : code == "other" ? ", another reply"
                                                     : " " + code);
}

}  // namespace

Sample Sample::parse(std::string_view text) {
  Sample out{.at = std::chrono::steady_clock::now(), .values = {}};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t blank = line.rfind(' ');
    if (line.starts_with('#') || blank == line.npos) continue;
    const std::string number(line.substr(blank + 1));
    char* end = nullptr;
    const double value = std::strtod(number.c_str(), &end);
    if (end != number.c_str() && std::isfinite(value))
      out.values.emplace(line.substr(0, blank), value);
  }
  return out;
}

double Sample::value(std::string_view name) const {
  const auto found = values.find(name);
  return found == values.end() ? 0 : found->second;
}

std::vector<DestinationRow> DestinationRow::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  std::vector<DestinationRow> out;
  if (!json.is_object() || !json.contains("destinations")) return out;
  for (const auto& row : json["destinations"]) {
    if (!row.is_object()) continue;
    const auto number = [&](const char* key) {
      return row.contains(key) && row[key].is_number_unsigned() ? row[key].get<uint64_t>() : 0;
    };
    const auto text_of = [&](const char* key) {
      return row.contains(key) && row[key].is_string() ? row[key].get<std::string>() : "";
    };
    out.push_back({.name = text_of("destination"),
                   .next_attempt = text_of("next_attempt"),
                   .waiting = number("waiting"),
                   .deferred = number("deferred"),
                   .held = number("held") + number("in_doubt")});
  }
  return out;
}

Activity Activity::between(const Sample& before, const Sample& now) {
  const double seconds = std::max(1e-3, std::chrono::duration<double>(now.at - before.at).count());
  const auto rise = [&](std::string_view name) {
    return std::max(0.0, now.value(name) - before.value(name));  // less: another engine runs now
  };
  Activity out;
  for (const auto& [shown, name] :
       {std::pair{"accepted", "sluice_recipients_accepted_total"},
        {"delivered", "sluice_recipients_fates_total{fate=\"delivered\"}"},
        {"deferred", "sluice_deferrals_total"},
        {"failed", "sluice_recipients_fates_total{fate=\"failed\"}"},
        {"expired", "sluice_recipients_fates_total{fate=\"expired\"}"},
        {"cancelled", "sluice_recipients_fates_total{fate=\"cancelled\"}"},
        {"sessions opened", "sluice_sessions_total{result=\"opened\"}"},
        {"sessions refused", "sluice_sessions_total{result=\"failed\"}"}})
    out.rates.push_back({shown, rise(name) / seconds, whole(now.value(name))});
  for (const auto& [name, sum] : now.values) {
    if (name.starts_with(reason_family))
      out.reasons.push_back({reason_text(name), rise(name) / seconds, whole(sum)});
    if (!name.starts_with(phase_family)) continue;
    const std::string phase = label(name, "phase");
    const double waited_s = rise(name);
    const double waits =
        rise(fmt::format("sluice_phase_duration_seconds_count{{phase=\"{}\"}}", phase));
    if (waits > 0)
      out.phases.push_back({phase, waited_s / seconds, waits / seconds, waited_s / waits * 1000});
  }
  std::ranges::sort(out.phases, std::greater(), &Phase::sessions);
  std::ranges::sort(out.reasons, std::greater(),
                    [](const Reason& reason) { return std::pair(reason.per_s, reason.total); });
  out.waiting = whole(now.value("sluice_recipients_waiting"));
  out.deferred = whole(now.value("sluice_recipients_deferred"));
  out.held = whole(now.value("sluice_recipients_held"));
  out.sessions = whole(now.value("sluice_sessions"));
  out.campaigns = whole(now.value("sluice_campaigns"));
  out.spool_bytes = whole(now.value("sluice_spool_campaign_bytes"));
  out.memory_bytes = whole(now.value("process_resident_memory_bytes"));
  out.is_ready = now.value("sluice_ready") > 0;
  return out;
}

}  // namespace sluice::tools
