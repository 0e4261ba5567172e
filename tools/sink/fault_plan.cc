#include "tools/sink/fault_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "engine/config.h"

namespace sluice::tools::sink {
namespace {

using engine::smtp::Stage;

/// In the order of a session; the last two need no answer, so not every action makes sense there.
constexpr std::array stages = {Stage::greeting, Stage::ehlo,    Stage::starttls,  Stage::mail,
                               Stage::rcpt,     Stage::data,    Stage::final_dot, Stage::rset,
                               Stage::quit,     Stage::connect, Stage::block};

std::expected<Stage, std::string> parse_stage(std::string_view text) {
  const auto found = std::ranges::find(stages, text, engine::smtp::name);
  if (found != stages.end()) return *found;
  std::string names;
  for (const Stage stage : stages)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name(stage));
  return std::unexpected(fmt::format("'{}' is no phase of a sink; phases: {}", text, names));
}

bool is_reply(std::string_view text) {
  return text.size() >= 3 && text[0] >= '2' && text[0] <= '5' && std::isdigit(text[1]) &&
         std::isdigit(text[2]) && (text.size() == 3 || text[3] == ' ') &&
         text.find_first_of("\r\n") == text.npos;
}

/// Splits `ACTION@PERCENT`; an '@' that no number follows is part of the action (an address in a
/// reply).
std::expected<double, std::string> take_percent(std::string_view& text) {
  const size_t at = text.rfind('@');
  if (at == text.npos) return 100;
  double percent = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at + 1, end, percent);
  if (error != std::errc{} || stop != end) return 100;
  if (!(percent > 0 && percent <= 100))
    return std::unexpected(fmt::format("'{}': a share is above 0 and at most 100 percent", text));
  text = text.substr(0, at);
  return percent;
}

}  // namespace

std::expected<void, std::string> FaultPlan::add_delay(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == text.npos)
    return std::unexpected(fmt::format("'{}': expected PHASE=TIME, as in final_dot=5s", text));
  const auto stage = parse_stage(text.substr(0, equals));
  if (!stage) return std::unexpected(stage.error());
  const auto delay = engine::parse_duration(text.substr(equals + 1));
  if (!delay)
    return std::unexpected(
        fmt::format("'{}': a time is a number and a unit, as in 250ms, 5s, 2m", text));
  if (*stage == Stage::connect)
    return std::unexpected("connect cannot be delayed; delay the greeting");
  plans_[static_cast<size_t>(*stage)].delay = *delay;
  return {};
}

std::expected<void, std::string> FaultPlan::add_fault(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == text.npos)
    return std::unexpected(fmt::format("'{}': expected PHASE:ACTION, as in rcpt:451@10", text));
  const auto stage = parse_stage(text.substr(0, colon));
  if (!stage) return std::unexpected(stage.error());
  std::string_view word = text.substr(colon + 1);
  const auto percent = take_percent(word);
  if (!percent) return std::unexpected(percent.error());
  Fault fault{.action = Action::none, .reply = {}, .percent = *percent};
  if (is_reply(word)) {
    fault.action = Action::reply;
    fault.reply = word.size() > 4
                      ? std::string(word)
                      : fmt::format("{} {}.0.0 As asked for", word.substr(0, 3), word[0]);
  } else if (word == "drop") {
    fault.action = Action::drop;
  } else if (word == "stall") {
    fault.action = Action::stall;
  } else if (word == "garbage") {
    fault.action = Action::garbage;
  } else if (word == "slow") {
    fault.action = Action::slow;
  } else {
    return std::unexpected(
        fmt::format("'{}' is no action; actions: a reply such as 451 or '550 5.7.1 text', drop, "
                    "stall, garbage, "
                    "slow",
                    word));
  }
  const bool takes_all = *stage != Stage::connect && *stage != Stage::block;
  const bool is_silent =
      fault.action == Action::drop || (fault.action == Action::stall && *stage == Stage::block);
  if (!takes_all && !is_silent)
    return std::unexpected(fmt::format("{} has no answer: it takes {}", name(*stage),
                                       *stage == Stage::block ? "drop and stall" : "drop only"));
  auto& faults = plans_[static_cast<size_t>(*stage)].faults;
  double sum = fault.percent;
  for (const Fault& other : faults) sum += other.percent;
  if (sum > 100)
    return std::unexpected(
        fmt::format("the faults of {} make more than 100 percent", name(*stage)));
  faults.push_back(std::move(fault));
  return {};
}

FaultPlan::Decision FaultPlan::decide(Stage stage, uint64_t random) const {
  const Plan& plan = plans_[static_cast<size_t>(stage)];
  Decision decision{.delay = plan.delay};
  if (plan.faults.empty()) return decision;
  constexpr double two_to_53 = 9007199254740992.0;
  double left = static_cast<double>(random >> 11) / two_to_53 * 100;
  for (const Fault& fault : plan.faults) {
    if (left < fault.percent) {
      decision.action = fault.action;
      decision.reply = fault.reply;
      break;
    }
    left -= fault.percent;
  }
  return decision;
}

}  // namespace sluice::tools::sink
