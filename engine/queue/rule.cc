#include "engine/queue/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <ranges>
#include <utility>

#include "engine/config_section.h"
#include "engine/intake/address.h"
#include "engine/queue/range_set.h"
#include "spool/campaign_name.h"

namespace sluice::engine::queue {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> action_names = {"hold", "release", "retry", "cancel",
                                                          "etrn"};

std::string text_of(const Rule::Stretch& stretch) {
  if (stretch.first == stretch.last) return fmt::format("{:016x}.{}", stretch.uid, stretch.first);
  return fmt::format("{:016x}.{}-{}", stretch.uid, stretch.first, stretch.last);
}

/// Takes a number off the front of `text`.
template <class Number>
bool take(std::string_view& text, Number& out, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (error != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

std::optional<Rule::Stretch> stretch_of(std::string_view text) {
  constexpr size_t uid_digits = 16;
  Rule::Stretch stretch;
  std::string_view rest = text;
  if (!take(rest, stretch.uid, 16) || text.size() - rest.size() != uid_digits) return std::nullopt;
  if (!rest.starts_with('.')) return std::nullopt;
  rest.remove_prefix(1);
  if (!take(rest, stretch.first, 10)) return std::nullopt;
  stretch.last = stretch.first;
  if (rest.starts_with('-')) {
    rest.remove_prefix(1);
    if (!take(rest, stretch.last, 10)) return std::nullopt;
  }
  if (!rest.empty() || stretch.last < stretch.first) return std::nullopt;
  return stretch;
}

bool is_destination(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  std::string normal;
  return intake::normalise_domain(text, normal).has_value() && normal == text;
}

bool is_of_destination(std::string_view domain, std::string_view wanted) {
  if (wanted.empty() || domain == wanted) return true;
  return wanted.starts_with("*.") && domain.size() >= wanted.size() &&
         domain.ends_with(wanted.substr(1));
}

/// Reads the members of the object one by one; a member that this release does not know would
/// narrow the rule, and leaving it out would widen it.
class Decoding {
 public:
  std::expected<Rule, std::string> run(std::string_view name, std::string_view text) {
    const Json object = Json::parse(text, nullptr, false);
    if (!object.is_object()) return std::unexpected("is no JSON object");
    rule_.name = name;
    for (const auto& [key, value] : object.items()) {
      const bool is_good = key == "action"        ? take_action(value)
                           : key == "at"          ? take_time(value)
                           : key == "campaign"    ? take_campaign(value)
                           : key == "destination" ? take_destination(value)
                           : key == "recipients"  ? take_recipients(value)
                                                  : false;
      if (!is_good)
        return std::unexpected(fmt::format("its \"{}\" is not one that this release knows", key));
    }
    if (!object.contains("action") || !object.contains("at"))
      return std::unexpected("has no \"action\" or no \"at\"");
    return std::move(rule_);
  }

 private:
  bool take_action(const Json& value) {
    if (!value.is_string()) return false;
    const auto found = std::ranges::find(action_names, value.get_ref<const std::string&>());
    rule_.action = static_cast<Rule::Action>(found - action_names.begin());
    return found != action_names.end();
  }
  bool take_time(const Json& value) {
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX))
      return false;
    rule_.at = io::WallTime(io::Duration(value.get<int64_t>()));
    return rule_.at >= io::WallTime();
  }
  bool take_campaign(const Json& value) {
    if (!value.is_string()) return false;
    rule_.campaign = value.get_ref<const std::string&>();
    return spool::is_campaign_id(rule_.campaign);
  }
  bool take_destination(const Json& value) {
    if (!value.is_string()) return false;
    rule_.destination = value.get_ref<const std::string&>();
    return is_destination(rule_.destination);
  }
  /// An empty list would speak of everybody.
  bool take_recipients(const Json& value) {
    if (!value.is_array() || value.empty()) return false;
    rule_.recipients.clear();
    for (const Json& text : value) {
      const auto stretch = text.is_string() ? stretch_of(text.get_ref<const std::string&>())
                                            : std::optional<Rule::Stretch>();
      if (!stretch) return false;
      rule_.recipients.push_back(*stretch);
    }
    return true;
  }

  Rule rule_;
};

/// [begin, end): neither can overflow.
struct Span {
  uint64_t begin = 0, end = 0;
};
Span span(Range range) { return {range.first, uint64_t{range.first} + range.count}; }

void push(std::vector<Range>& out, Span span) {
  if (span.begin >= span.end) return;
  if (!out.empty() && out.back().first + uint64_t{out.back().count} >= span.begin) {
    Range& last = out.back();
    last.count = static_cast<uint32_t>(std::max(sluice::engine::queue::span(last).end, span.end) -
                                       last.first);
    return;
  }
  out.push_back({static_cast<uint32_t>(span.begin), static_cast<uint32_t>(span.end - span.begin)});
}

std::vector<Range> ranges_of_destination(std::string_view destination,
                                         const spool::Campaign& campaign, uint32_t first_group) {
  std::vector<Range> out;
  for (const spool::Group& group : campaign.groups() | std::views::drop(first_group))
    if (is_of_destination(group.name, destination)) push(out, span({group.first, group.count}));
  return out;
}

std::vector<Range> ranges_given(const std::vector<Rule::Stretch>& stretches,
                                const spool::Campaign& campaign) {
  std::vector<Span> spans;
  for (const Rule::Stretch& stretch : stretches)
    if (stretch.uid == campaign.info().uid)
      spans.push_back(
          {stretch.first, std::min<uint64_t>(uint64_t{stretch.last} + 1, campaign.recipients())});
  std::ranges::sort(spans, {}, &Span::begin);
  std::vector<Range> out;
  for (const Span span : spans) push(out, span);
  return out;
}

/// Recipients whose destination the configuration holds, without those that their destination asked
/// for. O(groups) where it holds none.
std::vector<Range> held_by_configuration(const std::vector<Rule>& rules,
                                         const spool::Campaign& campaign, const Config& config,
                                         uint32_t first_group) {
  const ConfigKey* const hold = find_config_key("destination", "hold");
  if (std::ranges::none_of(config.sections,
                           [&](const auto& section) { return section->find(*hold) != nullptr; }))
    return {};
  std::vector<Range> by_operator, for_etrn;
  for (const spool::Group& group : campaign.groups() | std::views::drop(first_group)) {
    const HoldPolicy policy = config.destination(group.name).hold;
    if (policy == HoldPolicy::manual) push(by_operator, span({group.first, group.count}));
    if (policy == HoldPolicy::etrn) push(for_etrn, span({group.first, group.count}));
  }
  if (for_etrn.empty()) return by_operator;
  for (const Rule& rule : rules)
    if (rule.action == Rule::Action::etrn)
      for_etrn = without(for_etrn, ranges_of(rule, campaign, first_group));
  return united(by_operator, for_etrn);
}

/// Does `release` speak of everybody that `hold` speaks of? It then takes the hold back, for mail
/// that comes later as well.
bool takes_back(const Rule& release, const Rule& hold) {
  if (release.action != Rule::Action::release || hold.action != Rule::Action::hold) return false;
  return (release.campaign.empty() || release.campaign == hold.campaign) &&
         (release.destination.empty() || release.destination == hold.destination) &&
         (release.recipients.empty() || release.recipients == hold.recipients);
}

}  // namespace

std::string_view name(Rule::Action action) { return action_names[static_cast<size_t>(action)]; }

std::string Rule::encode() const {
  Json object = {{"action", queue::name(action)}, {"at", at.time_since_epoch().count()}};
  if (!campaign.empty()) object["campaign"] = campaign;
  if (!destination.empty()) object["destination"] = destination;
  for (const Stretch& stretch : recipients) object["recipients"].push_back(text_of(stretch));
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<Rule::Stretch> parse_stretch(std::string_view text) {
  constexpr size_t uid_digits = 16;
  Rule::Stretch stretch{.first = 0, .last = UINT32_MAX};
  const char* const end = text.data() + text.size();
  const auto uid = std::from_chars(text.data(), end, stretch.uid, 16);
  if (uid.ec != std::errc() || uid.ptr != text.data() + uid_digits) return std::nullopt;
  if (uid.ptr == end) return stretch;
  const auto number = std::from_chars(uid.ptr + 1, end, stretch.first);
  if (*uid.ptr != '.' || number.ec != std::errc() || number.ptr != end) return std::nullopt;
  stretch.last = stretch.first;
  return stretch;
}

std::expected<Rule, std::string> Rule::decode(std::string_view name, std::string_view text) {
  return Decoding().run(name, text);
}

bool Rule::has_same_selector(const Rule& other) const {
  return campaign == other.campaign && destination == other.destination &&
         recipients == other.recipients;
}

std::vector<Range> ranges_of(const Rule& rule, const spool::Campaign& campaign,
                             uint32_t first_group) {
  if (!rule.campaign.empty() && rule.campaign != campaign.info().id) return {};
  std::vector<Range> out = ranges_of_destination(rule.destination, campaign, first_group);
  if (rule.action != Rule::Action::hold) out = common(out, {{0, campaign.arrived_until(rule.at)}});
  if (rule.recipients.empty()) return out;
  return common(out, ranges_given(rule.recipients, campaign));
}

bool Standing::is_released(uint32_t number, io::WallTime since) const {
  return std::ranges::any_of(releases, [&](const Release& release) {
    return release.at >= since && contains(release.ranges, number);
  });
}

Standing standing(const std::vector<Rule>& rules, const spool::Campaign& campaign,
                  const Config& config, uint32_t first_group) {
  Standing out{.held = held_by_configuration(rules, campaign, config, first_group)};
  for (auto at = rules.begin(); at != rules.end(); ++at) {
    const Rule& rule = *at;
    const bool is_hold = rule.action == Rule::Action::hold;
    if (is_hold &&
        std::any_of(at, rules.end(), [&](const Rule& later) { return takes_back(later, rule); }))
      continue;
    const std::vector<Range> meant = ranges_of(rule, campaign, first_group);
    switch (rule.action) {
      case Rule::Action::hold: out.held = united(out.held, meant); break;
      case Rule::Action::release:
        out.held = without(out.held, meant);
        if (!meant.empty()) out.releases.push_back({rule.at, meant});
        break;
      case Rule::Action::etrn:
      case Rule::Action::retry:  out.retried = united(out.retried, meant); break;
      case Rule::Action::cancel: out.cancelled = united(out.cancelled, meant); break;
    }
  }
  // What was once cancelled has ended, whatever is said of it later.
  out.held = without(out.held, out.cancelled);
  out.retried = without(out.retried, out.cancelled);
  return out;
}

namespace {

/// One that nobody took back is for mail that comes later as well, unless it can only be of
/// campaigns that are known.
bool is_spent_hold(const Rule& hold, std::span<const spool::Campaign* const> live,
                   const std::set<std::string>& finished) {
  const auto is_of = [&](const spool::Campaign* campaign) {
    const spool::CampaignInfo& info = campaign->info();
    return hold.recipients.empty()
               ? info.id == hold.campaign
               : std::ranges::find(hold.recipients, info.uid, &Rule::Stretch::uid) !=
                     hold.recipients.end();
  };
  const bool is_known = !hold.recipients.empty() || finished.contains(hold.campaign);
  return is_known && std::ranges::none_of(live, is_of);
}

/// Clients may ask for their mail all day: what the last one says covers those before it.
bool is_said_again(const Rule& rule, std::span<const Rule> later) {
  return rule.action == Rule::Action::etrn && std::ranges::any_of(later, [&rule](const Rule& l) {
           return l.action == Rule::Action::etrn && l.at >= rule.at && l.has_same_selector(rule);
         });
}

}  // namespace

std::vector<std::string> spent_rules(const std::vector<Rule>& rules,
                                     std::span<const spool::Campaign* const> live,
                                     const std::set<std::string>& finished, io::WallTime now) {
  std::vector<std::string> spent;
  for (auto at = rules.begin(); at != rules.end(); ++at) {
    const Rule& rule = *at;
    if (is_said_again(rule, {std::next(at), rules.end()})) {
      spent.push_back(rule.name);
      continue;
    }
    if (now - rule.at < rule_age_min) continue;
    bool is_spent;
    if (rule.action == Rule::Action::hold)
      is_spent = is_spent_hold(rule, live, finished) ||
                 std::any_of(at, rules.end(), [&](const Rule& r) { return takes_back(r, rule); });
    else  // what it takes back goes before it, or would hold again
      is_spent =
          std::none_of(rules.begin(), at, [&](const Rule& r) { return takes_back(rule, r); }) &&
          std::ranges::all_of(
              live, [&](const spool::Campaign* c) { return ranges_of(rule, *c).empty(); });
    if (is_spent) spent.push_back(rule.name);
  }
  return spent;
}

}  // namespace sluice::engine::queue
