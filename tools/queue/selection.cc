#include "tools/queue/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/intake/address.h"
#include "engine/queue/range_set.h"
#include "engine/report/entry_reader.h"
#include "spool/campaign_name.h"

namespace sluice::tools {

using engine::report::visit_entries;
using engine::report::WaitingMail;

namespace {

using engine::Range;
using engine::queue::Rule;

/// Neighbours become one range.
void push(std::vector<Range>& ranges, uint32_t number) {
  if (!ranges.empty() && ranges.back().first + uint64_t{ranges.back().count} == number)
    ++ranges.back().count;
  else
    ranges.push_back({number, 1});
}

}  // namespace

std::expected<Selection, std::string> Selection::make(const QueueQuestion& question) {
  Selection out;
  for (const std::string& id : question.ids) {
    const auto stretch = engine::queue::parse_stretch(id);
    if (!stretch)
      return std::unexpected(fmt::format(
          "--id {}: is none; write a44485c9e910e465.17 for one recipient, or a44485c9e910e465 for "
          "a campaign, as the log has them",
          id));
    out.ids_.push_back(*stretch);
  }
  out.base_.campaign = question.campaign;
  if (!question.campaign.empty() && !spool::is_campaign_id(question.campaign))
    return std::unexpected(
        fmt::format("--campaign {}: no campaign can be named so", question.campaign));
  if (!question.destination.empty()) {
    const bool is_below = question.destination.starts_with("*.");
    std::string domain;
    const auto good =
        engine::intake::normalise_domain(question.destination.substr(is_below ? 2 : 0), domain);
    if (!good)
      return std::unexpected(
          fmt::format("--destination {}: {}", question.destination, good.error()));
    out.base_.destination = (is_below ? "*." : "") + domain;
  }
  if (!question.recipient.empty()) {
    const auto parts = engine::intake::normalise_address(question.recipient, out.recipient_);
    if (!parts)
      return std::unexpected(
          fmt::format("--recipient {}: is not an address: {}", question.recipient, parts.error()));
    out.recipient_domain_ = out.recipient_.substr(parts->local_bytes + 1);
  }
  out.sender_ = question.sender;
  return out;
}

std::vector<Range> Selection::ranges(io::Proactor& proactor, const WaitingMail& mail) const {
  std::vector<Range> out = engine::queue::ranges_of(base_, mail.campaign());
  if (!ids_.empty()) {
    Rule by_id;
    by_id.recipients = ids_;
    out = engine::queue::common(out, engine::queue::ranges_of(by_id, mail.campaign()));
  }
  if (!recipient_.empty() && !out.empty())
    out = engine::queue::common(out, by_address(proactor, mail));
  if (!sender_.empty() && !out.empty()) out = by_sender(proactor, mail, out);
  return out;
}

std::vector<Range> Selection::by_address(io::Proactor& proactor, const WaitingMail& mail) const {
  std::vector<Range> out;
  for (const spool::Group& group : mail.campaign().groups()) {
    if (group.name != recipient_domain_) continue;
    visit_entries(proactor, mail, {group.first, group.count}, [&](const engine::Held& held) {
      if (held.recipient.address == recipient_) push(out, held.item.number);
    });
  }
  return out;
}

std::vector<Range> Selection::by_sender(io::Proactor& proactor, const WaitingMail& mail,
                                        const std::vector<Range>& among) const {
  const std::string_view wanted = sender_ == "<>" ? std::string_view() : sender_;  // notices
  const std::string_view written = mail.message().sender;
  if (!mail.is_of_letters()) {
    if (written == wanted) return among;
    const size_t tag = written.find("{{");
    // What stands before the first tag and behind the last one is the same for everybody.
    if (tag == written.npos || !wanted.starts_with(written.substr(0, tag))) return {};
    if (const size_t end = written.rfind("}}");
        end != written.npos && !wanted.ends_with(written.substr(end + 2)))
      return {};
  }
  std::vector<Range> out;
  for (const Range range : among)
    visit_entries(proactor, mail, range, [&](engine::Held& held) {
      held.begin_merge();
      if (held.sender == wanted) push(out, held.item.number);
    });
  return out;
}

void Selection::add(uint64_t uid, const std::vector<Range>& ranges) {
  for (const Range range : ranges)
    found_.push_back({uid, range.first, range.first + (range.count - 1)});
}

Rule Selection::rule(Rule::Action action, io::WallTime at) const {
  Rule out = base_;
  out.action = action;
  out.at = at;
  out.recipients = found_;
  return out;
}

}  // namespace sluice::tools
