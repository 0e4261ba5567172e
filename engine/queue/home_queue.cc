#include "engine/queue/home_queue.h"

#include <algorithm>

#include "engine/queue/range_set.h"
#include "engine/queue/retry.h"

namespace sluice::engine::queue {

namespace {

constexpr io::Duration own_pause = std::chrono::minutes(1);  // until this machine may be mended
constexpr unsigned endings_max = 4;                          // blocks under way to the ender
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
      backlog_(route.policy),
      shards_(shards),
      ramp_(route.policy.sessions_max) {}

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
  backlog_.add(mailing, std::move(ranges), setbacks_ - waited.attempts, orders, now);
  if (!orders.is_empty()) orders_.join(*mailing, std::move(orders));
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
  backlog_.steer(*mailing, orders);
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

void HomeQueue::session_news(const SessionNews& news, const Now& now) {
  collect_due(now);
  shards_[news.shard].note(news);
  for (const HostNews& host : news.hosts) board_.note(host, now.instant);
  if (news.opened > 0 && std::exchange(refusals_, 0) > 0) notes_.end_row(now.wall);
  if (news.proven > 0) fruitless_ = 0;
  if (news.opened > 0) ramp_.opened(open(), now.instant);
  if (news.opened > 0 && last_ && last_->is_ours) last_.reset();
  if (news.refused == 0) return;
  const uint32_t still_open = open();
  ramp_.refused(still_open, now.instant);
  if (still_open > 0 || now.instant < backed_off_until_) return;  // or of the same wave
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
  const bool is_known = why->is_ours && last_ && last_->is_ours;
  last_ = std::move(why);
  if (!is_known) untold_ = last_;
  if (last_->is_ours) {
    backed_off_until_ = now.instant + own_pause;
    return;
  }
  ++setbacks_, ++refusals_;
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
    std::map<std::pair<const Mailing*, int32_t>, uint32_t> last;  // the flows of a segment together
    for (const Source& source : backlog_.waiting()) {
      uint32_t& name = last[{&source.mailing(), source.setbacks()}];
      name = std::max(name, source.name());
    }
    for (const auto& [whom, name] : last)
      notes_.note(*whom.first, name, saturated(setbacks_ - whom.second));
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
  backlog_.expire(now);
  end_leaving(Leaving::expired, {.kind = spool::OutcomeKind::expired, .why = last_}, outside);
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
  backlog_.exhaust(setbacks_ - static_cast<int64_t>(max));
  const Ending ending{.kind = spool::OutcomeKind::failed, .why = last_};
  end_leaving(Leaving::exhausted, ending, outside);
  is_exhaustion_due_ = backlog_.has(Leaving::exhausted);
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
  end_leaving(Leaving::cancelled, {.kind = spool::OutcomeKind::cancelled}, outside);
  const auto all = [](const PackedRecipient&) { return true; };
  if (!cancelled_.empty())
    end_if(cancelled_, all, {.kind = spool::OutcomeKind::cancelled}, outside);
}

/// Once for each recipient, at its time, whatever it waits for.
void HomeQueue::tell_delays(const Now& now, Outside& outside) {
  backlog_.warn(now);
  if (now.instant >= ready_warns_) {
    ready_warns_ = io::never;
    for (RecipientLine* list : lines()) place_again(*list, nullptr, now);
  }
  const Ending ending{.why = last_, .is_delay = true, .until = backed_off_until_};
  end_leaving(Leaving::delayed, ending, outside);
  const auto all = [](const PackedRecipient&) { return true; };
  if (!delayed_.empty()) end_if(delayed_, all, ending, outside);
}

void HomeQueue::end_leaving(Leaving why, const Ending& ending, Outside& outside) {
  while (ending_ < endings_max) {
    auto batch = backlog_.next(why);
    if (!batch) return;
    end(finished(std::move(batch)), ending, outside);
  }
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
  const auto shards = static_cast<uint32_t>(shards_.size());
  for (unsigned s = 0; s < shards; ++s) {
    // The home shard gets the first.
    const uint32_t sessions =
        is_closed ? 0 : ramp_.share((s + shards - route_.home) % shards, shards);
    if (shards_[s].permit(sessions, plan)) outside.permit(s, sessions, plan);
  }
  if (is_closed || !has_work()) return;
  const auto able =
      std::ranges::find_if(shards_, [](const ShardShare& s) { return s.sessions > 0; });
  if (able == shards_.end()) return;
  if (const auto probe = board_.take_probe(now.instant)) {
    HostPlan with_probe = plan;
    with_probe.probe = probe;
    outside.permit(static_cast<unsigned>(able - shards_.begin()), able->sessions, with_probe);
  }
}

void HomeQueue::lend(const Now& now, Outside& outside) {
  for (unsigned unserved = 0; unserved < shards_.size();) {
    turn_ = (turn_ + 1) % static_cast<unsigned>(shards_.size());
    ShardShare& shard = shards_[turn_];
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
      const ShardShare& shard = shards_[at];
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
  const uint64_t part = (backlog_.size() + ready()) / (2 * able);
  return static_cast<uint32_t>(std::clamp<uint64_t>(part, split_items_min, UINT32_MAX));
}

/// Those that wait for no time of their own.
std::array<RecipientLine*, priority_count + 1> HomeQueue::lines() {
  return {&ready_[0], &ready_[1], &ready_[2], &held_};
}

PriorityTurns::Which HomeQueue::with_work() const {
  PriorityTurns::Which which{};
  for (const Priority priority : PriorityTurns::order)
    which[index(priority)] = backlog_.turns().has(priority) || !ready_[index(priority)].empty();
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
  if (!has_returned || !backlog_.turns().is_turn_of_returned(priority))
    batch = backlog_.next(priority, items_max);
  if (!batch && has_returned) batch = next_ready(priority, items_max);
  if (!batch) return nullptr;
  priority_turns_.charge(priority, batch->items.size());
  return finished(std::move(batch));
}

/// Those of one block that are due together travel together; a block is read once for them.
std::unique_ptr<Batch> HomeQueue::next_ready(Priority priority, uint32_t items_max) {
  RecipientLine& line = ready_[index(priority)];
  auto batch = batch_of_block(line[0]);
  while (!line.empty() && batch->items.size() < items_max && batch_takes(*batch, line[0]))
    batch->items.push_back(take(line.pop_front()));
  backlog_.turns().charge_returned(priority, batch->items.size());
  return batch;
}

std::unique_ptr<Batch> HomeQueue::batch_of_block(const PackedRecipient& first) const {
  const MailingPtr& mailing = packer_.mailing(first);
  return std::make_unique<Batch>(Batch{mailing, mailing->campaign->block_of(first.number()), {}});
}

bool HomeQueue::batch_takes(const Batch& batch, const PackedRecipient& recipient) const {
  return packer_.mailing(recipient) == batch.mailing &&
         batch.mailing->campaign->block_of(recipient.number()) == batch.block;
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
         std::ranges::none_of(shards_, [](const ShardShare& s) { return s.grants > 0; });
}

io::Instant HomeQueue::next(io::Instant now) const {
  io::Instant next = io::never;
  const auto at = [&](io::Instant time) {
    if (time > now) next = std::min(next, time);
  };
  at(deferred_.next());
  at(backlog_.next_expiry());
  at(backlog_.next_warning());
  if (ready() > 0 || !held_.empty()) at(std::min(ready_expires_, ready_warns_));
  at(recall_at_);
  if (!has_work()) return next;
  at(backed_off_until_);
  at(rate_.next(now));
  if (board_.list()) at(board_.list()->good_until);
  return next;
}

}  // namespace sluice::engine::queue
