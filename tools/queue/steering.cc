#include "tools/queue/steering.h"

#include <algorithm>

#include "spool/rule_files.h"

namespace sluice::tools {

using engine::report::SpoolView;
using engine::report::Waiting;
using engine::report::WaitingMail;
using engine::report::WaitState;

namespace {

using engine::queue::Rule;

bool changes(Rule::Action action, const Waiting& waiting, const SpoolView& view) {
  const bool is_held =
      waiting.state == WaitState::held || (waiting.state == WaitState::in_doubt &&
                                           view.config().in_doubt == engine::InDoubtPolicy::hold);
  if (waiting.state == WaitState::cancelled) return false;
  switch (action) {
    case Rule::Action::hold:    return !is_held;
    case Rule::Action::release: return is_held;
    case Rule::Action::retry:
      return waiting.state == WaitState::deferred && waiting.next_attempt &&
             *waiting.next_attempt > view.now();
    case Rule::Action::cancel: return true;
    case Rule::Action::etrn:   break;  // clients say it
  }
  return false;
}

/// A hold is for mail that comes later as well, and so is the release of such a hold.
bool outlives_what_waits(const Rule& rule, const SpoolView& view) {
  if (!rule.recipients.empty()) return false;
  if (rule.action == Rule::Action::hold) return true;
  return rule.action == Rule::Action::release &&
         std::ranges::any_of(view.rules(), [&](const Rule& known) {
           return known.action == Rule::Action::hold && known.has_same_selector(rule);
         });
}

}  // namespace

std::expected<Steered, spool::Error> steer(SpoolView& view, Selection& selection,
                                           Rule::Action action, bool dry_run) {
  Steered out;
  for (const WaitingMail& mail : view.mails()) {
    const uint64_t before = out.recipients;
    const std::vector<engine::Range> meant = selection.ranges(view.proactor(), mail);
    for (const engine::Range range : meant)
      mail.visit(range, [&](const Waiting& waiting, size_t) {
        if (changes(action, waiting, view)) ++out.recipients;
      });
    if (out.recipients == before) continue;
    ++out.campaigns;
    if (selection.is_by_number()) selection.add(mail.campaign().info().uid, meant);
  }
  const io::WallTime now = view.proactor().wall();
  const Rule rule = selection.rule(action, now);
  const bool has_effect =
      out.recipients > 0 || (!selection.is_by_number() && outlives_what_waits(rule, view));
  if (!has_effect || dry_run) return out;
  auto name = spool::hand_off_rule(view.proactor(), view.config().spool, rule.encode());
  if (!name) return std::unexpected(std::move(name.error()));
  out.rule = std::move(*name);
  return out;
}

}  // namespace sluice::tools
