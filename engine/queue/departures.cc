// HomeQueue: what goes to other queues when the configuration was read anew.
#include <algorithm>
#include <map>

#include "engine/queue/home_queue.h"
#include "engine/queue/range_set.h"
#include "engine/queue/routing.h"

namespace sluice::engine::queue {

namespace {

/// Of `rest`, by the route's number: linear in both, which ascend.
std::map<uint32_t, std::pair<const Route*, std::vector<Range>>> by_route(
    const std::vector<Range>& rest, const std::vector<Routing::Span>& spans, const Route& here) {
  std::map<uint32_t, std::pair<const Route*, std::vector<Range>>> out;
  const auto add = [&out](const Route& route, uint64_t first, uint64_t end) {
    auto& [to, ranges] = out[route.number];
    to = &route;
    ranges.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(end - first)});
  };
  auto span = spans.begin();
  for (const Range range : rest) {
    const uint64_t end = uint64_t{range.first} + range.count;
    for (uint64_t at = range.first; at < end;) {
      while (span != spans.end() && uint64_t{span->range.first} + span->range.count <= at) ++span;
      const bool is_spoken_of = span != spans.end() && span->range.first <= at;
      const uint64_t until = is_spoken_of
                                 ? std::min(end, uint64_t{span->range.first} + span->range.count)
                             : span != spans.end() ? std::min<uint64_t>(end, span->range.first)
                                                   : end;
      add(is_spoken_of ? *span->route : here, at, until);
      at = until;
    }
  }
  return out;
}

}  // namespace

void HomeQueue::reroute(std::shared_ptr<const Routing> routing, const Now& now) {
  routing_ = std::move(routing);
  collect_due(now);
  const auto is_concerned = [this](const Mailing& m) { return routing_->find(m) != nullptr; };
  for (const Source& source : backlog_.take_out(is_concerned)) send_on(source, now);
  for (RecipientLine* list : lines())
    for (size_t n = list->size(); n > 0; --n) {
      const PackedRecipient recipient = list->pop_front();
      if (elsewhere(*packer_.mailing(recipient), recipient.number()))
        send_on(recipient, now);
      else
        list->push_back(recipient);
    }
  RecipientLine leaving = deferred_.take_if([this](const PackedRecipient& recipient) {
    return elsewhere(*packer_.mailing(recipient), recipient.number()) != nullptr;
  });
  while (!leaving.empty()) send_on(leaving.pop_front(), now);
  held_deferred_ = deferred_.count_if([this](const PackedRecipient& r) { return is_held(r); });
  is_recall_due_ |= std::ranges::any_of(shards_, [](const ShardShare& s) { return s.grants > 0; });
}

const Route* HomeQueue::elsewhere(const Mailing& mailing, uint32_t recipient) const {
  const Route* const route = routing_ ? routing_->route_of(mailing, recipient) : nullptr;
  return route == &route_ ? nullptr : route;
}

/// Parts of it stay, perhaps. With other hosts nobody waits for what these came to.
void HomeQueue::send_on(const Source& source, const Now& now) {
  const Routing::Of& of = *routing_->find(source.mailing());
  for (auto& [number, part] : by_route(source.rest(), of.spans, route_)) {
    auto& [to, ranges] = part;
    if (to == &route_) {
      backlog_.add(Source(source, std::move(ranges)), of.orders);
      continue;
    }
    AddSource& departure = departure_to(*to, source.mailing());
    const bool is_same = to->has_hosts_of(route_);
    departure.waits.add({.recipient = ranges.back().first + (ranges.back().count - 1),
                         .attempts = saturated(setbacks_ - source.setbacks()),
                         .refusals = is_same ? saturated(refusals_) : uint16_t{0},
                         .at = now.wall,
                         .next_attempt = now.wall + (backed_off_until_ - now.instant)});
    departure.orders = {common(of.orders.held, ranges), common(of.orders.cancelled, ranges)};
    departure.ranges = std::move(ranges);
  }
}

void HomeQueue::send_on(const PackedRecipient& recipient, const Now& now) {
  Returned returned{.mailing = packer_.mailing(recipient),
                    .is_held_in_doubt = recipient.is_held_in_doubt(),
                    .due = recipient.retry_at(),
                    .why = packer_.why(recipient)};
  returned.item = take(recipient);
  fold(returned.item);
  send_on(std::move(returned), now);
}

/// It must go elsewhere.
void HomeQueue::send_on(Returned&& returned, const Now& now) {
  const Route& to = *elsewhere(*returned.mailing, returned.item.number);
  if (!to.has_hosts_of(route_) && !returned.is_held_in_doubt) {
    returned.due = now.instant;
    returned.item.refusals = 0;
  }
  const bool is_next = !departures_.empty() && departures_.back().route == &to &&
                       departures_.back().mailing == returned.mailing &&
                       departures_.back().ranges.empty();
  AddSource& departure = is_next ? departures_.back() : departure_to(to, *returned.mailing);
  departure.returned.push_back(std::move(returned));
}

AddSource& HomeQueue::departure_to(const Route& to, const Mailing& mailing) {
  AddSource& departure = departures_.emplace_back();
  departure.route = &to;
  departure.mailing = mailing.shared_from_this();
  departure.routing = routing_;
  return departure;
}

void HomeQueue::arrive(Returned&& returned, const Now& now) {
  returned.item.setbacks = setbacks_;
  take_in(returned, false, now);
}

}  // namespace sluice::engine::queue
