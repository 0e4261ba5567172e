#include "engine/queue/backlog.h"

#include <algorithm>
#include <iterator>

#include "engine/queue/range_set.h"

namespace sluice::engine::queue {

namespace {

/// Letters by their flow. O(log groups), and O(log senders) a group of them.
std::map<Flow, std::vector<Range>> by_flow(const Mailing& mailing,
                                           const std::vector<Range>& ranges) {
  const spool::MailSegment& segment = *mailing.letters;
  const Senders& senders = *mailing.senders.load(std::memory_order_acquire);
  std::map<Flow, std::vector<Range>> parts;
  for (const Range range : ranges) {
    const uint32_t end = range.first + range.count;
    uint32_t index = segment.group_of(range.first);
    for (uint32_t at = range.first; at < end; ++index) {
      const spool::Group group = segment.group(index);
      const uint32_t until = std::min(end, group.first + group.count);
      std::vector<Range>& part = parts[senders.flow_of(group.sender)];
      if (!part.empty() && part.back().first + part.back().count == at)
        part.back().count += until - at;
      else
        part.push_back({at, until - at});
      at = until;
    }
  }
  return parts;
}

}  // namespace

void Backlog::add(MailingPtr mailing, std::vector<Range> ranges, int32_t setbacks,
                  const Orders& orders, const Now& now) {
  if (!mailing->letters) {
    const Flow own{.weight = static_cast<uint16_t>(mailing->weight)};
    return add(source_of(std::move(mailing), own, std::move(ranges), setbacks, now), orders);
  }
  for (auto& [flow, part] : by_flow(*mailing, ranges))
    if (!orders.is_empty() || !join({mailing.get(), flow}, part, setbacks))
      add(source_of(mailing, flow, std::move(part), setbacks, now), orders);
}

Source Backlog::source_of(MailingPtr mailing, Flow flow, std::vector<Range>&& ranges,
                          int32_t setbacks, const Now& now) const {
  const uint32_t first = ranges.front().first;
  const io::Instant until = expires(*mailing, first, policy_, now);
  const io::Instant warned = warns(*mailing, first, policy_, now);
  return Source(std::move(mailing), flow, std::move(ranges), setbacks, until, warned);
}

bool Backlog::join(LettersKey letters, const std::vector<Range>& ranges, int32_t setbacks) {
  const auto newest = newest_.find(letters);
  if (newest == newest_.end()) return false;
  Source& source = *newest->second;
  if (source.setbacks() != setbacks) return false;
  if (!source.is_before(ranges.front().first)) return false;  // these come from another queue
  const uint32_t before = source.remaining();
  source.join(ranges);
  size_ += source.remaining() - before;
  return true;
}

void Backlog::steer(const Mailing& mailing, const Orders& orders) {
  for (const Source& source : take_out([&](const Mailing& m) { return &m == &mailing; }))
    add(source, orders);
}

std::list<Source> Backlog::take_out(const std::function<bool(const Mailing&)>& is_concerned) {
  Sources taken;
  for (Sources* list : {&waiting_, &held_})
    for (auto at = list->begin(); at != list->end();)
      at = is_concerned(at->mailing()) ? move(at, taken) : std::next(at);
  for (const Source& source : taken) size_ -= source.remaining();
  return taken;
}

/// Its recipients, each in the list where the orders want it.
void Backlog::add(const Source& whole, const Orders& orders) {
  const std::vector<Range> rest = whole.rest();
  const std::vector<Range> living = without(rest, orders.cancelled);
  add_part(whole, common(rest, orders.cancelled), leaving_[index(Leaving::cancelled)]);
  add_part(whole, common(living, orders.held), held_);
  add_part(whole, without(living, orders.held), waiting_);
}

void Backlog::add_part(const Source& whole, std::vector<Range>&& ranges, Sources& to) {
  if (ranges.empty()) return;
  Source& part = to.emplace_back(whole, std::move(ranges));
  if (part.remaining() == 0) return to.pop_back();
  size_ += part.remaining();
  if (&to != &waiting_ && &to != &held_) return;
  part.is_held = &to == &held_;
  if (!part.is_held) turns_.add(std::prev(to.end()));
  if (!part.is_held && part.mailing().letters)
    newest_.insert_or_assign(key_of(part), std::prev(to.end()));
  if (part.is_held) held_size_ += part.remaining();
  expiries_.emplace(std::pair(part.expires(), &part), std::prev(to.end()));
  if (part.warns() != io::never)
    warnings_.emplace(std::pair(part.warns(), &part), std::prev(to.end()));
}

/// Out of waiting_ or held_; returns the one behind it.
Backlog::Sources::iterator Backlog::move(Sources::iterator source, Sources& to) {
  forget(*source);
  if (source->is_held)
    held_size_ -= source->remaining();
  else
    turns_.remove(*source);
  const auto next = std::next(source);
  to.splice(to.end(), source->is_held ? held_ : waiting_, source);
  return next;
}

/// Those of the source whose message is so old: all of a campaign's, but letters come of age one
/// after another, and the others stay where they are.
void Backlog::move_older(Sources::iterator source, io::Duration age, Leaving why, const Now& now) {
  Sources& to = leaving_[index(why)];
  if (!source->mailing().letters) return void(move(source, to));
  Sources whole;
  const bool is_held = source->is_held;
  move(source, whole);
  size_ -= whole.front().remaining();
  const std::vector<Range> rest = whole.front().rest();
  const std::vector<Range> older = {
      {0, whole.front().mailing().campaign->arrived_until(now.wall - age)}};
  add_part(whole.front(), common(rest, older), to);
  if (std::vector<Range> younger = without(rest, older); !younger.empty()) {
    std::vector<Range> all = younger;
    add_part(source_of(whole.front().mailing().shared_from_this(), whole.front().flow(),
                       std::move(younger), whole.front().setbacks(), now),
             std::move(all), is_held ? held_ : waiting_);
  }
}

/// It is in waiting_ or held_ no more.
void Backlog::forget(const Source& source) {
  expiries_.erase({source.expires(), &source});
  warnings_.erase({source.warns(), &source});
  const auto newest = newest_.find(key_of(source));
  if (newest != newest_.end() && &*newest->second == &source) newest_.erase(newest);
}

void Backlog::expire(const Now& now) {
  while (next_expiry() <= now.instant) {
    const Sources::iterator first = expiries_.begin()->second;
    move_older(first, first->mailing().lifetime(policy_), Leaving::expired, now);
  }
}

void Backlog::warn(const Now& now) {
  while (next_warning() <= now.instant)
    move_older(warnings_.begin()->second, policy_.expire.warn, Leaving::delayed, now);
}

void Backlog::exhaust(int64_t setbacks) {
  for (auto source = waiting_.begin(); source != waiting_.end();)
    source = source->setbacks() <= setbacks ? move(source, leaving_[index(Leaving::exhausted)])
                                            : std::next(source);
}

std::unique_ptr<Batch> Backlog::next(Priority priority, uint32_t items_max) {
  while (turns_.has(priority))
    if (auto batch = next_of(waiting_, turns_.next(priority), items_max)) return batch;
  return nullptr;
}

std::unique_ptr<Batch> Backlog::next(Leaving why) {
  Sources& sources = leaving_[index(why)];
  while (!sources.empty())
    if (auto batch = next_of(sources, sources.begin(), UINT32_MAX)) return batch;
  return nullptr;
}

/// The next of the source, which goes away when it has none.
std::unique_ptr<Batch> Backlog::next_of(Sources& sources, Sources::iterator source,
                                        uint32_t items_max) {
  const bool takes_turns = &sources == &waiting_;
  const uint32_t before = source->remaining();
  auto batch = source->next(items_max);
  size_ -= before - source->remaining();
  if (batch && takes_turns) turns_.charge(*source, batch->items.size());
  if (batch && source->remaining() > 0) return batch;
  size_ -= source->remaining();
  if (takes_turns) turns_.remove(*source);
  forget(*source);
  sources.erase(source);
  return batch;
}

}  // namespace sluice::engine::queue
