#include "engine/queue/home_queue.h"

#include <algorithm>
#include <numeric>

#include "engine/queue/range_set.h"
#include "engine/queue/retry.h"

namespace sluice::engine::queue {

namespace {

constexpr io::Duration growth_pause = std::chrono::seconds(60);
constexpr unsigned endings_max = 4;      // blocks under way to the ender
constexpr unsigned join_looks_max = 8;   // a segment a shard is written at a time
constexpr uint32_t told_max = 100;       // recipients that the log speaks of at a setback
constexpr uint32_t overtaking_max = 4;   // batches unasked of a priority that a shard holds
constexpr uint32_t split_items_min = 8;  // smaller batches are not worth a read of their own

io::Duration suspicion_of(const DestinationPolicy& policy) {
  return std::clamp<io::Duration>(policy.retry.first, std::chrono::seconds(10),
                                  std::chrono::minutes(15));
}

constexpr auto index = PriorityTurns::index;

}  // namespace

HomeQueue::HomeQueue(const Route& route, unsigned shards, InDoubtPolicy in_doubt)
    : route_(route),
      in_doubt_(in_doubt),
      board_(suspicion_of(route.policy)),
      rate_(route.policy.rate_per_s),
      shards_(shards) {}

io::Instant HomeQueue::expires(const Mailing& mailing, uint32_t number, const Now& now) const {
  return now.instant + (mailing.accepted_at(number) + mailing.lifetime(route_.policy) - now.wall);
}

/// `never` when nobody is to be told of delays.
io::Instant HomeQueue::warns(const Mailing& mailing, uint32_t number, const Now& now) const {
  const io::Duration warn = route_.policy.expire.warn;
  if (warn <= io::Duration{} || mailing.message.notices != Notices::sender) return io::never;
  return now.instant + (mailing.accepted_at(number) + warn - now.wall);
}

// --- What comes in ---

void HomeQueue::add(MailingPtr mailing, std::vector<Range> ranges, const Waited& waited,
                    Orders&& orders, const Now& now) {
  if (waited.refusals > 0) {
    refusals_ = std::max<uint32_t>(refusals_, waited.refusals);
    fruitless_ = std::max<uint32_t>(fruitless_, waited.refusals);
    backed_off_until_ = std::max(backed_off_until_, now.instant + (waited.until - now.wall));
    is_exhaustion_due_ = true;
    notes_.restore(mailing, waited);
  }
  if (ranges.empty()) return;
  const int32_t known = setbacks_ - waited.attempts;
  if (orders.is_empty() && join(*mailing, ranges, known)) return;
  place(source_of(mailing, std::move(ranges), known, now), orders);
  orders_.join(*mailing, std::move(orders));
}

Source HomeQueue::source_of(MailingPtr mailing, std::vector<Range>&& ranges, int32_t setbacks,
                            const Now& now) const {
  const uint32_t first = ranges.front().first;
  const io::Instant until = expires(*mailing, first, now), warned = warns(*mailing, first, now);
  return Source(std::move(mailing), std::move(ranges), setbacks, until, warned);
}

/// Letters come one by one: to those of their segment that wait alike, if these are at hand.
bool HomeQueue::join(const Mailing& mailing, const std::vector<Range>& ranges, int32_t setbacks) {
  if (!mailing.letters) return false;
  auto source = sources_.rbegin();
  for (unsigned looks = 0; looks < join_looks_max && source != sources_.rend(); ++looks, ++source) {
    if (&source->mailing() != &mailing || source->setbacks() != setbacks) continue;
    if (!source->is_before(ranges.front().first)) continue;  // these come from another queue
    const uint32_t before = source->remaining();
    source->join(ranges);
    unlent_ += source->remaining() - before;
    return true;
  }
  return false;
}

/// Its recipients, each in the list where the orders want it.
void HomeQueue::place(const Source& whole, const Orders& orders) {
  const std::vector<Range> rest = whole.rest();
  const std::vector<Range> living = without(rest, orders.cancelled);
  add_part(whole, common(rest, orders.cancelled), cancelled_sources_);
  add_part(whole, common(living, orders.held), held_sources_);
  add_part(whole, without(living, orders.held), sources_);
}

void HomeQueue::add_part(const Source& whole, std::vector<Range>&& ranges, Sources& to) {
  if (ranges.empty()) return;
  Source& part = to.emplace_back(whole, std::move(ranges));
  if (part.remaining() == 0) return to.pop_back();
  unlent_ += part.remaining();
  if (&to != &sources_ && &to != &held_sources_) return;
  part.is_held = &to == &held_sources_;
  if (!part.is_held) turns_.add(std::prev(to.end()));
  if (part.is_held) held_unlent_ += part.remaining();
  expiries_.emplace(std::pair(part.expires(), &part), std::prev(to.end()));
  if (part.warns() != io::never)
    warnings_.emplace(std::pair(part.warns(), &part), std::prev(to.end()));
}

/// Out of sources_ or held_sources_; returns the one behind it.
HomeQueue::Sources::iterator HomeQueue::move_source(Sources::iterator source, Sources& to) {
  forget_times(*source);
  if (source->is_held)
    held_unlent_ -= source->remaining();
  else
    turns_.remove(*source);
  const auto next = std::next(source);
  to.splice(to.end(), source->is_held ? held_sources_ : sources_, source);
  return next;
}

/// Those of the source whose message is so old: all of a campaign's, but letters come of age one
/// after another, and the others stay where they are.
void HomeQueue::move_older(Sources::iterator source, io::Duration age, Sources& to,
                           const Now& now) {
  if (!source->mailing().letters) return void(move_source(source, to));
  Sources whole;
  const bool is_held = source->is_held;
  move_source(source, whole);
  unlent_ -= whole.front().remaining();
  const std::vector<Range> rest = whole.front().rest();
  const std::vector<Range> older = {
      {0, whole.front().mailing().campaign->arrived_until(now.wall - age)}};
  add_part(whole.front(), common(rest, older), to);
  if (std::vector<Range> younger = without(rest, older); !younger.empty()) {
    std::vector<Range> all = younger;
    add_part(source_of(whole.front().mailing().shared_from_this(), std::move(younger),
                       whole.front().setbacks(), now),
             std::move(all), is_held ? held_sources_ : sources_);
  }
}

void HomeQueue::forget_times(const Source& source) {
  expiries_.erase({source.expires(), &source});
  warnings_.erase({source.warns(), &source});
}

/// The connections that failed in a row are the queue's own count, too.
void HomeQueue::restore(const MailingPtr& mailing, const std::vector<Range>& ranges,
                        const EarlierRun& earlier, const spool::Waits& waits, const Now& now) {
  for (const Range range : ranges)
    for (auto at = earlier.deferrals.lower_bound(range.first);
         at != earlier.deferrals.end() && at->first - range.first < range.count; ++at) {
      Returned returned =
          earlier.returned(mailing, at->second, waits, in_doubt_, now.instant, now.wall);
      refusals_ = std::max<uint32_t>(refusals_, returned.item.refusals);
      fruitless_ = std::max<uint32_t>(fruitless_, returned.item.refusals);
      returned.item.setbacks = setbacks_;
      take_in(returned, false, now);
    }
}

void HomeQueue::give_back(Returned&& returned, const Now& now) {
  if (const auto told = being_told_.find({returned.mailing.get(), returned.item.number});
      told != being_told_.end()) {
    returned.item.was_told = true;
    returned.is_held_in_doubt = told->second.is_held_in_doubt;
    returned.due = told->second.retry_at;
    returned.why = std::move(told->second.why);
    being_told_.erase(told);
  }
  if (elsewhere(*returned.mailing, returned.item.number)) return send_on(std::move(returned), now);
  take_in(returned, true, now);
}

void HomeQueue::take_in(Returned& returned, bool in_front, const Now& now) {
  untried_ += !returned.item.was_deferred;
  const PackedRecipient recipient =
      packer_.pack(returned, warns(*returned.mailing, returned.item.number, now));
  if (is_cancelled(recipient)) return cancelled_.push_back(recipient);
  if (returned.is_doubtful) return doubtful_.push_back(recipient);
  if (returned.due > now.instant) return defer(recipient, returned.due, now);
  if (now.instant < backed_off_until_ && notes_.is_in_row()) note(recipient);
  place(recipient, in_front, now);
}

void HomeQueue::defer(PackedRecipient recipient, io::Instant due, const Now& now) {
  const Mailing& mailing = *packer_.mailing(recipient);
  due = std::min(due, expires(mailing, recipient.number(), now));
  recipient.wait_until(due);
  held_deferred_ += is_held(recipient);
  deferred_.push(recipient, !recipient.was_told() && warns(mailing, recipient.number(), now) < due);
}

bool HomeQueue::is_cancelled(const PackedRecipient& recipient) const {
  return orders_.is_cancelled(*packer_.mailing(recipient), recipient.number());
}

/// To wait until it is released, whatever else it waits for.
bool HomeQueue::is_held(const PackedRecipient& recipient) const {
  return recipient.is_held_in_doubt() ||
         orders_.is_held(*packer_.mailing(recipient), recipient.number());
}

/// One whose time has come.
void HomeQueue::place(PackedRecipient recipient, bool in_front, const Now& now) {
  const Mailing& mailing = *packer_.mailing(recipient);
  ready_expires_ = std::min(ready_expires_, expires(mailing, recipient.number(), now));
  RecipientLine* list = &ready_[index(mailing.message.priority)];
  if (orders_.is_cancelled(mailing, recipient.number()))
    list = &cancelled_;
  else if (orders_.is_held(mailing, recipient.number()))
    list = &held_;
  if (!recipient.was_told() && list != &cancelled_) {
    const io::Instant warned = warns(mailing, recipient.number(), now);
    if (warned <= now.instant)
      list = &delayed_;
    else
      ready_warns_ = std::min(ready_warns_, warned);
  }
  in_front ? list->push_front(recipient) : list->push_back(recipient);
}

/// Setbacks count for those whose time had come.
void HomeQueue::come_due(PackedRecipient recipient, const Now& now) {
  recipient.come_due(setbacks_);
  is_exhaustion_due_ |= recipient.refusals() > 0;  // of an earlier run
  place(recipient, false, now);
}

void HomeQueue::collect_due(const Now& now) {
  while (deferred_.next() <= now.instant) {
    const PackedRecipient recipient = deferred_.pop();
    held_deferred_ -= is_held(recipient);
    if (recipient.retry_at() > now.instant)
      delayed_.push_back(recipient);
    else
      come_due(recipient, now);
  }
}

/// O(what waits here): an operator's word.
void HomeQueue::steer(const MailingPtr& mailing, Orders&& orders, const std::vector<Range>& due,
                      bool is_release, const Now& now) {
  const bool holds_more = !orders.is_empty();
  Sources of_mailing;
  for (Sources* list : {&sources_, &held_sources_})
    for (auto at = list->begin(); at != list->end();)
      at = &at->mailing() == mailing.get() ? move_source(at, of_mailing) : std::next(at);
  for (const Source& source : of_mailing) {
    unlent_ -= source.remaining();
    place(source, orders);
  }
  orders_.set(*mailing, std::move(orders));
  for (RecipientLine* list : lines()) place_again(*list, mailing.get(), now);
  make_due(*mailing, due, is_release, now);
  held_deferred_ = deferred_.count_if([this](const PackedRecipient& r) { return is_held(r); });
  is_recall_due_ |= holds_more;
}

/// Those of the mailing, or all, go where they belong now.
void HomeQueue::place_again(RecipientLine& list, const Mailing* mailing, const Now& now) {
  RecipientLine concerned;
  for (size_t n = list.size(); n > 0; --n) {
    const PackedRecipient recipient = list.pop_front();
    const bool is_of_it = mailing == nullptr || packer_.mailing(recipient).get() == mailing;
    (is_of_it ? concerned : list).push_back(recipient);
  }
  while (!concerned.empty()) place(concerned.pop_front(), false, now);
}

/// Those that wait for their time, and of whom it is not left to them.
void HomeQueue::make_due(const Mailing& mailing, const std::vector<Range>& due, bool is_release,
                         const Now& now) {
  RecipientLine taken = deferred_.take_if([&](const PackedRecipient& recipient) {
    if (packer_.mailing(recipient).get() != &mailing) return false;
    return is_cancelled(recipient) ||
           (contains(due, recipient.number()) && recipient.is_held_in_doubt() == is_release);
  });
  while (!taken.empty()) {
    PackedRecipient recipient = taken.pop_front();
    recipient.release();
    come_due(recipient, now);
  }
  if (!due.empty() && !is_release) backed_off_until_ = now.instant;
}

uint32_t HomeQueue::open() const {
  return std::accumulate(shards_.begin(), shards_.end(), 0u,
                         [](uint32_t sum, const PerShard& s) { return sum + s.open; });
}

void HomeQueue::session_news(const SessionNews& news, const Now& now) {
  collect_due(now);
  shards_[news.shard].open = news.open_now;
  shards_[news.shard].grants -= news.grants_ended;
  for (size_t i = 0; i < priority_count; ++i) shards_[news.shard].loads[i] -= news.loads_ended[i];
  for (const HostNews& host : news.hosts) board_.note(host, now.instant);
  if (news.opened > 0 && std::exchange(refusals_, 0) > 0) notes_.end_row(now.wall);
  if (news.proven > 0) fruitless_ = 0;
  if (news.opened > 0 && now.instant >= no_growth_until_)
    allowed_ = std::min<uint32_t>(route_.policy.sessions_max, std::max(allowed_, 2 * open()));
  if (news.refused == 0) return;
  shards_[news.shard].awaits_permit = true;
  if (const uint32_t still_open = open(); still_open > 0) {
    allowed_ = std::min(allowed_, still_open);
    no_growth_until_ = now.instant + growth_pause;
    return;
  }
  allowed_ = 1;
  if (now.instant < backed_off_until_) return;  // of the same wave
  if (news.setback)
    setback(news.setback, now);
  else
    back_off(true, now);
}

void HomeQueue::hosts_found(dns::HostListPtr list, const Now& now) {
  collect_due(now);
  is_finding_ = false;
  board_.set(list);
  if (!list->failure) return;
  auto why = std::make_shared<Setback>();
  why->is_final = list->failure->result == smtp::Result::permanent;
  why->stage = smtp::Stage::dns;
  why->enhanced = list->failure->enhanced;
  why->reason = list->failure->reason;
  if (why->is_final)
    last_ = std::move(why);
  else
    setback(std::move(why), now);
}

void HomeQueue::setback(SetbackPtr why, const Now& now) {
  ++setbacks_, ++refusals_;
  last_ = untold_ = std::move(why);
  is_exhaustion_due_ = true;
  back_off(false, now);
  notes_.setback({.refusals = saturated(refusals_),
                  .at = now.wall,
                  .until = now.wall + (backed_off_until_ - now.instant)});
}

void HomeQueue::back_off(bool opened, const Now& now) {
  const DestinationPolicy::Retry& retry = route_.policy.retry;
  const io::Duration fixed = opened ? retry.transfer_interval : retry.connect_interval;
  ++fruitless_;
  backed_off_until_ =
      now.instant + (fixed > io::Duration{} ? fixed : retry_delay(retry, fruitless_, now.random));
}

// --- What goes out ---

void HomeQueue::serve(const Now& now, Outside& outside) {
  collect_due(now);
  if (recall_at_ <= now.instant) recall_at_ = io::never, is_recall_due_ = true;
  if (std::exchange(is_recall_due_, false)) outside.recall();
  for (AddSource& departure : std::exchange(departures_, {})) outside.depart(std::move(departure));
  settle_doubtful(outside);
  end_cancelled(outside);
  write_notes(outside);
  tell(outside);
  expire(now, outside);
  tell_delays(now, outside);
  const bool is_backed_off = now.instant < backed_off_until_;
  if (!is_backed_off) end_exhausted(outside);
  const bool is_known = board_.list() && now.instant < board_.list()->good_until;
  if (has_work() && !is_backed_off && !is_known && !is_finding_) {
    is_finding_ = true;
    outside.find_hosts();
  }
  if (is_known && !board_.has_hosts() && last_ && last_->is_final) end_all(outside);
  const bool is_closed = is_backed_off || !board_.has_hosts();
  issue_permits(now, outside, is_closed);
  if (is_closed) return;
  lend(now, outside);
  lend_more_urgent(now, outside);
}

void HomeQueue::settle_doubtful(Outside& outside) {
  if (doubtful_.empty()) return;
  const bool is_held = in_doubt_ == InDoubtPolicy::hold;
  end_if(
      doubtful_, [](const PackedRecipient&) { return true; },
      {.kind = is_held ? spool::OutcomeKind::intent : spool::OutcomeKind::in_doubt}, outside);
}

void HomeQueue::note(const PackedRecipient& recipient) {
  Item item = packer_.item(recipient, setbacks_);
  fold(item);
  const bool is_alone = item.was_deferred || item.was_told;
  notes_.note(*packer_.mailing(recipient), item.number, is_alone ? 0 : item.attempts);
}

void HomeQueue::write_notes(Outside& outside) {
  if (notes_.is_round_due()) {
    for (const Source& source : sources_)
      notes_.note(source.mailing(), source.name(), saturated(setbacks_ - source.setbacks()));
    for (const RecipientLine& line : ready_)
      for (size_t i = 0; i < line.size(); ++i) note(line[i]);
  }
  notes_.write([&](const Mailing& m, const Waited& waited) { outside.note_wait(m, waited); });
}

/// The log tells of a setback with the recipients that would have been next.
void HomeQueue::tell(Outside& outside) {
  if (!untold_) return;
  auto batch = next_batch(told_max);
  if (!batch) return;
  end(std::move(batch), {.why = std::exchange(untold_, nullptr), .until = backed_off_until_},
      outside);
}

void HomeQueue::expire(const Now& now, Outside& outside) {
  while (!expiries_.empty() && expiries_.begin()->first.first <= now.instant)
    move_older(expiries_.begin()->second,
               expiries_.begin()->second->mailing().lifetime(route_.policy), expired_, now);
  end_sources(expired_, {.kind = spool::OutcomeKind::expired, .why = last_}, outside);
  if (now.instant < ready_expires_) return;
  const auto time_of = [&](const PackedRecipient& r) {
    return expires(*packer_.mailing(r), r.number(), now);
  };
  const auto is_over = [&](const PackedRecipient& r) { return time_of(r) <= now.instant; };
  const Ending ending{.kind = spool::OutcomeKind::expired};
  for (RecipientLine* list : lines())
    if (!end_if(*list, is_over, ending, outside)) return;
  ready_expires_ = io::never;
  for (const RecipientLine* list : lines())
    for (size_t i = 0; i < list->size(); ++i)
      ready_expires_ = std::min(ready_expires_, time_of((*list)[i]));
}

/// Those that waited for as many setbacks as they may. Looked for once after each setback.
void HomeQueue::end_exhausted(Outside& outside) {
  const uint32_t max = route_.policy.retry.connect_attempts_max;
  if (max == 0 || refusals_ < max || !is_exhaustion_due_) return;
  if (!last_) {
    auto why = std::make_shared<Setback>();
    why->reason = "connect: failed as often as it may, the last time before a restart";
    last_ = std::move(why);
  }
  const auto is_over = [&](const PackedRecipient& r) {
    Item item = packer_.item(r, setbacks_);
    fold(item);
    return item.refusals >= max;
  };
  for (auto source = sources_.begin(); source != sources_.end();)
    source = setbacks_ - source->setbacks() >= static_cast<int64_t>(max)
                 ? move_source(source, exhausted_)
                 : std::next(source);
  const Ending ending{.kind = spool::OutcomeKind::failed, .why = last_};
  end_sources(exhausted_, ending, outside);
  is_exhaustion_due_ = !exhausted_.empty();
  for (RecipientLine& line : ready_) is_exhaustion_due_ |= !end_if(line, is_over, ending, outside);
}

/// DNS says for sure that nobody is to be reached.
void HomeQueue::end_all(Outside& outside) {
  while (ending_ < endings_max) {
    auto batch = next_batch(UINT32_MAX);
    if (!batch) return;
    end(std::move(batch), {.kind = spool::OutcomeKind::failed, .why = last_}, outside);
  }
}

void HomeQueue::end(std::unique_ptr<Batch> batch, const Ending& ending, Outside& outside) {
  ++ending_;
  if (ending.is_delay)
    for (const Item item : batch->items)
      being_told_.try_emplace({batch->mailing.get(), item.number});
  outside.end(std::move(batch), ending);
}

void HomeQueue::end_cancelled(Outside& outside) {
  end_sources(cancelled_sources_, {.kind = spool::OutcomeKind::cancelled}, outside);
  const auto all = [](const PackedRecipient&) { return true; };
  if (!cancelled_.empty())
    end_if(cancelled_, all, {.kind = spool::OutcomeKind::cancelled}, outside);
}

/// Once for each recipient, at its time, whatever it waits for.
void HomeQueue::tell_delays(const Now& now, Outside& outside) {
  while (!warnings_.empty() && warnings_.begin()->first.first <= now.instant)
    move_older(warnings_.begin()->second, route_.policy.expire.warn, delayed_sources_, now);
  if (now.instant >= ready_warns_) {
    ready_warns_ = io::never;
    for (RecipientLine* list : lines()) place_again(*list, nullptr, now);
  }
  const Ending ending{.why = last_, .is_delay = true, .until = backed_off_until_};
  end_sources(delayed_sources_, ending, outside);
  const auto all = [](const PackedRecipient&) { return true; };
  if (!delayed_.empty()) end_if(delayed_, all, ending, outside);
}

void HomeQueue::end_sources(Sources& sources, const Ending& ending, Outside& outside) {
  while (!sources.empty() && ending_ < endings_max)
    if (auto batch = next_of(sources, sources.begin(), UINT32_MAX))
      end(std::move(batch), ending, outside);
}

/// Those of one block together. False: some are left, for want of a free place with the ender.
bool HomeQueue::end_if(RecipientLine& list, auto&& is_over, Ending ending, Outside& outside) {
  const auto why = [&](const PackedRecipient& r) -> const SetbackPtr& {
    return packer_.why(r) ? packer_.why(r) : last_;
  };
  size_t at = 0, kept = 0;  // of those before `at`, the first `kept` stay
  while (at < list.size()) {
    if (!is_over(list[at])) {
      list[kept++] = list[at++];
      continue;
    }
    if (ending_ >= endings_max) break;
    ending.why = why(list[at]);
    if (ending.is_delay) ending.until = list[at].retry_at();
    auto batch = batch_of_block(list[at]);
    for (; at < list.size() && is_over(list[at]) && why(list[at]) == ending.why &&
           batch_takes(*batch, list[at]);
         ++at) {
      const PackedRecipient& one = list[at];
      if (ending.is_delay)
        being_told_.try_emplace({batch->mailing.get(), one.number()},
                                Told{one.is_held_in_doubt(), one.retry_at(), packer_.why(one)});
      batch->items.push_back(take(one));
    }
    end(finished(std::move(batch)), ending, outside);
  }
  const bool is_done = at == list.size();
  list.erase(kept, at);
  return is_done;
}

/// It leaves this queue.
Item HomeQueue::take(const PackedRecipient& recipient) {
  const Item item = packer_.item(recipient, setbacks_);
  untried_ -= !recipient.was_deferred();
  packer_.forget(recipient);
  return item;
}

void HomeQueue::issue_permits(const Now& now, Outside& outside, bool is_closed) {
  const HostPlan plan = board_.plan();
  for (unsigned s = 0; s < shards_.size(); ++s) {
    PerShard& shard = shards_[s];
    const uint32_t sessions = is_closed ? 0 : share(s);
    if (sessions == shard.sessions && !shard.awaits_permit &&
        (sessions == 0 || (shard.list == plan.list.get() && shard.suspects == plan.suspects.get())))
      continue;
    shard.sessions = sessions;
    shard.awaits_permit = false;
    shard.list = plan.list.get(), shard.suspects = plan.suspects.get();
    outside.permit(s, sessions, plan);
  }
  if (is_closed || !has_work()) return;
  const auto able = std::ranges::find_if(shards_, [](const PerShard& s) { return s.sessions > 0; });
  if (able == shards_.end()) return;
  if (const auto probe = board_.take_probe(now.instant)) {
    HostPlan with_probe = plan;
    with_probe.probe = probe;
    outside.permit(static_cast<unsigned>(able - shards_.begin()), able->sessions, with_probe);
  }
}

uint32_t HomeQueue::share(unsigned shard) const {
  const auto shards = static_cast<uint32_t>(shards_.size());
  const uint32_t rank = (shard + shards - route_.home) % shards;  // the home shard gets the first
  return allowed_ / shards + (rank < allowed_ % shards ? 1 : 0);
}

void HomeQueue::lend(const Now& now, Outside& outside) {
  for (unsigned unserved = 0; unserved < shards_.size();) {
    turn_ = (turn_ + 1) % static_cast<unsigned>(shards_.size());
    PerShard& shard = shards_[turn_];
    if (shard.hungry == 0 || shard.sessions == 0) {
      ++unserved;
      continue;
    }
    const uint32_t allowance = rate_.allowance(now.instant);
    if (allowance == 0) return;
    auto batch = next_batch(std::min(allowance, batch_items_max()));
    if (!batch) return;
    --shard.hungry;
    unserved = 0;
    lend_to(turn_, std::move(batch), true, now, outside);
  }
}

/// A shard that has enough does not ask. What is more urgent than something of that overtakes it
/// there, a few batches at a time.
void HomeQueue::lend_more_urgent(const Now& now, Outside& outside) {
  for (const Priority priority : {Priority::urgent, Priority::normal}) {
    for (unsigned at = 0; at < shards_.size(); ++at) {
      const PerShard& shard = shards_[at];
      if (!with_work()[index(priority)]) break;
      while (shard.sessions > 0 && shard.loads[index(priority)] < overtaking_max &&
             shard.holds_less_urgent(priority)) {
        const uint32_t allowance = rate_.allowance(now.instant);
        auto batch =
            allowance > 0 ? next_batch(priority, std::min(allowance, batch_items_max())) : nullptr;
        if (!batch) break;
        lend_to(at, std::move(batch), false, now, outside);
      }
    }
  }
}

bool HomeQueue::PerShard::holds_less_urgent(Priority priority) const {
  const auto* const at = std::ranges::find(PriorityTurns::order, priority);
  return std::any_of(at + 1, PriorityTurns::order.end(),
                     [this](Priority less) { return loads[index(less)] > 0; });
}

void HomeQueue::lend_to(unsigned to, std::unique_ptr<Batch> batch, bool is_asked, const Now& now,
                        Outside& outside) {
  untold_ = nullptr;  // overtaken
  const Mailing& mailing = *batch->mailing;
  const uint32_t first = batch->items.front().number;
  recall_at_ = std::min(recall_at_, expires(mailing, first, now));
  if (const io::Instant warned = warns(mailing, first, now); warned > now.instant)
    recall_at_ = std::min(recall_at_, warned);
  rate_.spend(batch->items.size());
  ++shards_[to].grants;
  ++shards_[to].loads[index(mailing.message.priority)];
  outside.grant(to, std::move(batch), is_asked);
}

/// What is left is shared among the shards, down to parts of a block: also among those that may not
/// work yet, or the first of them has it all when more sessions are allowed.
uint32_t HomeQueue::batch_items_max() const {
  const uint64_t able = std::min<uint64_t>(shards_.size(), route_.policy.sessions_max);
  if (able < 2) return UINT32_MAX;
  const uint64_t part = (unlent_ + ready()) / (2 * able);
  return static_cast<uint32_t>(std::clamp<uint64_t>(part, split_items_min, UINT32_MAX));
}

size_t HomeQueue::ready() const {
  size_t sum = 0;
  for (const RecipientLine& line : ready_) sum += line.size();
  return sum;
}

/// Those that wait for no time of their own.
std::array<RecipientLine*, priority_count + 1> HomeQueue::lines() {
  return {&ready_[0], &ready_[1], &ready_[2], &held_};
}

PriorityTurns::Which HomeQueue::with_work() const {
  PriorityTurns::Which which{};
  for (const Priority priority : PriorityTurns::order)
    which[index(priority)] = turns_.has(priority) || !ready_[index(priority)].empty();
  return which;
}

std::unique_ptr<Batch> HomeQueue::next_batch(uint32_t items_max) {
  while (const auto priority = priority_turns_.next(with_work()))
    if (auto batch = next_batch(*priority, items_max)) return batch;
  return nullptr;
}

std::unique_ptr<Batch> HomeQueue::next_batch(Priority priority, uint32_t items_max) {
  std::unique_ptr<Batch> batch;
  const bool has_returned = !ready_[index(priority)].empty();
  if (!has_returned || !turns_.is_turn_of_returned(priority))
    while (!batch && turns_.has(priority))
      batch = next_of(sources_, turns_.next(priority), items_max);
  if (!batch && has_returned) batch = next_ready(priority, items_max);
  if (batch) priority_turns_.charge(priority, batch->items.size());
  return batch;
}

/// Those of one block that are due together travel together; a block is read once for them.
std::unique_ptr<Batch> HomeQueue::next_ready(Priority priority, uint32_t items_max) {
  RecipientLine& line = ready_[index(priority)];
  auto batch = batch_of_block(line[0]);
  while (!line.empty() && batch->items.size() < items_max && batch_takes(*batch, line[0]))
    batch->items.push_back(take(line.pop_front()));
  turns_.charge_returned(priority, batch->items.size());
  return finished(std::move(batch));
}

std::unique_ptr<Batch> HomeQueue::batch_of_block(const PackedRecipient& first) const {
  const MailingPtr& mailing = packer_.mailing(first);
  return std::make_unique<Batch>(Batch{mailing, mailing->campaign->block_of(first.number()), {}});
}

bool HomeQueue::batch_takes(const Batch& batch, const PackedRecipient& recipient) const {
  return packer_.mailing(recipient) == batch.mailing &&
         batch.mailing->campaign->block_of(recipient.number()) == batch.block;
}

/// The next of the source, which goes away when it has none.
std::unique_ptr<Batch> HomeQueue::next_of(Sources& sources, Sources::iterator source,
                                          uint32_t items_max) {
  const bool takes_turns = &sources == &sources_;
  const uint32_t before = source->remaining();
  auto batch = source->next(items_max);
  unlent_ -= before - source->remaining();
  if (batch && takes_turns) turns_.charge(*source, batch->items.size());
  if (batch && source->remaining() > 0) return finished(std::move(batch));
  unlent_ -= source->remaining();
  if (takes_turns) turns_.remove(*source);
  forget_times(*source);
  sources.erase(source);
  return batch ? finished(std::move(batch)) : nullptr;
}

std::unique_ptr<Batch> HomeQueue::finished(std::unique_ptr<Batch> batch) const {
  for (Item& item : batch->items) fold(item);
  std::ranges::sort(batch->items, {}, &Item::number);
  return batch;
}

void HomeQueue::fold(Item& item) const {
  const int64_t missed = setbacks_ - item.setbacks;
  item.attempts = saturated(item.attempts + missed);
  item.refusals = saturated(std::min<int64_t>(item.refusals + missed, refusals_));
  item.setbacks = setbacks_;
}

bool HomeQueue::is_idle() const {
  return waiting() == 0 && departures_.empty() && ending_ == 0 && !is_finding_ &&
         being_told_.empty() && orders_.is_empty() && open() == 0 &&
         std::ranges::none_of(shards_, [](const PerShard& s) { return s.grants > 0; });
}

io::Instant HomeQueue::next(io::Instant now) const {
  io::Instant next = io::never;
  const auto at = [&](io::Instant time) {
    if (time > now) next = std::min(next, time);
  };
  at(deferred_.next());
  if (!expiries_.empty()) at(expiries_.begin()->first.first);
  if (!warnings_.empty()) at(warnings_.begin()->first.first);
  if (ready() > 0 || !held_.empty()) at(std::min(ready_expires_, ready_warns_));
  at(recall_at_);
  if (!has_work()) return next;
  at(backed_off_until_);
  at(rate_.next(now));
  if (board_.list()) at(board_.list()->good_until);
  return next;
}

}  // namespace sluice::engine::queue
