#include "engine/tlsrpt/day_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/report/json_writer.h"

namespace sluice::engine::tlsrpt {
namespace {

using nlohmann::json;
using report::JsonObject;

constexpr std::string_view format = "sluice-tlsrpt 1";

void append_texts(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (const std::string& text : texts) {
    if (&text != &texts.front()) out += ',';
    report::append_json_string(out, text);
  }
  out += ']';
}

void append_failure(std::string& out, const Failure& failure, uint64_t sessions) {
  JsonObject object(out);
  object.string("result-type", name(failure.result));
  const auto add = [&](std::string_view key, const std::string& value) {
    if (!value.empty()) object.string(key, value);
  };
  add("sending-mta-ip", failure.sending_ip);
  add("receiving-mx-hostname", failure.receiving_mx);
  add("receiving-ip", failure.receiving_ip);
  object.number("failed-session-count", sessions);
  add("failure-reason-code", failure.reason);
  object.end();
}

void append_domain(std::string& out, const DomainCount& count) {
  JsonObject object(out);
  object.begin("wanted") += count.is_wanted ? "true" : "false";
  if (const Progress& progress = count.progress; progress.tries > 0) {
    JsonObject report(object.begin("report"));
    const auto since = std::chrono::floor<std::chrono::seconds>(progress.first_try);
    report.number("first-try", static_cast<uint64_t>(since.time_since_epoch().count()));
    report.number("tries", progress.tries);
    append_texts(report.begin("taken"), progress.taken);
    report.end();
  }
  object.begin("policies") += '[';
  bool is_first = true;
  for (const auto& [policy, of_policy] : count.policies) {
    if (!std::exchange(is_first, false)) out += ',';
    append_policy(out, policy, of_policy);
  }
  out += ']';
  object.end();
}

template <class Enum, size_t count>
std::optional<Enum> enum_of(const std::string& text) {
  for (size_t i = 0; i < count; ++i)
    if (name(static_cast<Enum>(i)) == text) return static_cast<Enum>(i);
  return std::nullopt;
}

/// Reads what may be anything: what is not as it should be makes it fail as a whole.
class Reading {
 public:
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

  const json& member(const json& object, const char* key, json::value_t type) {
    static const json none;
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found != object.end() && found->type() == type) return *found;
    fail();
    return none;
  }
  std::string text(const json& object, const char* key) {
    const json& found = member(object, key, json::value_t::string);
    return failed_ ? std::string() : found.get<std::string>();
  }
  std::string text_if_any(const json& object, const char* key) {
    return object.is_object() && object.contains(key) ? text(object, key) : std::string();
  }
  uint64_t number(const json& object, const char* key) {
    const json& found = member(object, key, json::value_t::number_unsigned);
    return failed_ ? 0 : found.get<uint64_t>();
  }
  std::vector<std::string> texts(const json& object, const char* key) {
    std::vector<std::string> out;
    for (const json& item : member(object, key, json::value_t::array)) {
      if (!item.is_string()) return fail(), out;
      out.push_back(item.get<std::string>());
    }
    return out;
  }

 private:
  bool failed_ = false;
};

void read_policy(Reading& reading, const json& element, DomainCount& count) {
  const json& of = reading.member(element, "policy", json::value_t::object);
  const auto type = enum_of<TlsPolicyType, tls_policy_types>(reading.text(of, "policy-type"));
  if (!type) return reading.fail();
  Policy policy{.type = *type, .domain = reading.text(of, "policy-domain")};
  if (of.contains("policy-string")) policy.text = reading.texts(of, "policy-string");
  if (of.contains("mx-host")) policy.mx = reading.texts(of, "mx-host");
  const json& summary = reading.member(element, "summary", json::value_t::object);
  PolicyCount own{.successes = reading.number(summary, "total-successful-session-count")};
  if (element.contains("failure-details"))
    for (const json& detail : reading.member(element, "failure-details", json::value_t::array)) {
      const auto result = enum_of<TlsResult, tls_results>(reading.text(detail, "result-type"));
      if (!result) return reading.fail();
      Failure failure{.result = *result,
                      .sending_ip = reading.text_if_any(detail, "sending-mta-ip"),
                      .receiving_mx = reading.text_if_any(detail, "receiving-mx-hostname"),
                      .receiving_ip = reading.text_if_any(detail, "receiving-ip"),
                      .reason = reading.text_if_any(detail, "failure-reason-code")};
      own.failures[std::move(failure)] += reading.number(detail, "failed-session-count");
    }
  count.policies.emplace(std::move(policy), std::move(own));
}

DomainCount read_domain(Reading& reading, const json& object) {
  DomainCount count;
  count.is_wanted = reading.member(object, "wanted", json::value_t::boolean) == true;
  for (const json& element : reading.member(object, "policies", json::value_t::array))
    read_policy(reading, element, count);
  if (!object.is_object() || !object.contains("report")) return count;
  const json& report = reading.member(object, "report", json::value_t::object);
  // Within what nanoseconds of 64 bits can tell.
  constexpr uint64_t seconds_max = 9'000'000'000;
  const uint64_t since = std::min(reading.number(report, "first-try"), seconds_max);
  count.progress.first_try = io::WallTime(std::chrono::seconds(since));
  count.progress.tries =
      static_cast<uint32_t>(std::min<uint64_t>(reading.number(report, "tries"), UINT32_MAX));
  count.progress.taken = reading.texts(report, "taken");
  return count;
}

}  // namespace

void append_policy(std::string& out, const Policy& policy, const PolicyCount& count) {
  JsonObject element(out);
  JsonObject of(element.begin("policy"));
  of.string("policy-type", name(policy.type));
  if (!policy.text.empty()) append_texts(of.begin("policy-string"), policy.text);
  of.string("policy-domain", policy.domain);
  if (!policy.mx.empty()) append_texts(of.begin("mx-host"), policy.mx);
  of.end();
  JsonObject summary(element.begin("summary"));
  summary.number("total-successful-session-count", count.successes);
  summary.number("total-failure-session-count", count.failed());
  summary.end();
  if (!count.failures.empty()) {
    element.begin("failure-details") += '[';
    bool is_first = true;
    for (const auto& [failure, sessions] : count.failures) {
      if (!std::exchange(is_first, false)) out += ',';
      append_failure(out, failure, sessions);
    }
    out += ']';
  }
  element.end();
}

void append_domains(std::string& out, const DayCount& day) {
  out += '{';
  bool is_first = true;
  for (const auto& [domain, count] : day.domains()) {
    out += std::exchange(is_first, false) ? "\n" : ",\n";
    report::append_json_string(out, domain);
    out += ':';
    append_domain(out, count);
  }
  out += '}';
}

std::string text_of(const DayCount& day) {
  std::string out;
  JsonObject whole(out);
  whole.string("format", format);
  append_domains(whole.begin("domains"), day);
  whole.end();
  return out += '\n';
}

std::optional<DayCount> parse_day(std::string_view text) {
  const json whole = json::parse(text, nullptr, false);
  Reading reading;
  if (reading.text(whole, "format") != format) return std::nullopt;
  DayCount::Domains domains;
  for (const auto& [domain, object] :
       reading.member(whole, "domains", json::value_t::object).items())
    domains.emplace(domain, read_domain(reading, object));
  if (reading.failed()) return std::nullopt;
  DayCount day;
  day.set_domains(std::move(domains));
  return day;
}

std::string date_text(Day day) {
  const std::chrono::year_month_day date(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

std::optional<Day> parse_date(std::string_view text) {
  const auto part = [&](size_t from, size_t size) {
    int number = -1;
    const std::string_view digits = text.substr(from, size);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return error == std::errc() && end == digits.data() + digits.size() ? number : -1;
  };
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int year = part(0, 4), month = part(5, 2), day = part(8, 2);
  if (year < 1970 || month < 1 || day < 1) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return Day(date);
}

}  // namespace sluice::engine::tlsrpt
