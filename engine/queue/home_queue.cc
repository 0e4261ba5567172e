#include "engine/queue/home_queue.h"

#include <algorithm>
#include <numeric>

#include "engine/queue/retry.h"

namespace sluice::engine::queue {

namespace {

constexpr io::Duration growth_pause = std::chrono::seconds(60);
constexpr unsigned endings_max = 4;      // blocks under way to the ender
constexpr uint32_t told_max = 100;       // recipients that the log speaks of at a setback
constexpr uint32_t split_items_min = 8;  // smaller batches are not worth a read of their own

io::Duration suspicion_of(const DestinationPolicy& policy) {
  return std::clamp<io::Duration>(policy.retry.first, std::chrono::seconds(10),
                                  std::chrono::minutes(15));
}

uint16_t saturated(int64_t n) { return static_cast<uint16_t>(std::min<int64_t>(n, UINT16_MAX)); }

}  // namespace

HomeQueue::HomeQueue(const Route& route, unsigned shards, InDoubtPolicy in_doubt)
    : route_(route),
      in_doubt_(in_doubt),
      board_(suspicion_of(route.policy)),
      rate_(route.policy.rate_per_s),
      shards_(shards) {}

io::Instant HomeQueue::expires(const Mailing& mailing, const Now& now) const {
  return now.instant + (mailing.accepted_at() + mailing.lifetime(route_.policy) - now.wall);
}

// --- What comes in ---

void HomeQueue::add(MailingPtr mailing, std::vector<Range> ranges, const Waited& waited,
                    const Now& now) {
  if (waited.setbacks > 0) {
    refusals_ = fruitless_ = std::max<uint32_t>(refusals_, waited.setbacks);
    backed_off_until_ = std::max(backed_off_until_, waited.until);
  }
  if (ranges.empty()) return;
  const io::Instant until = expires(*mailing, now);
  sources_.emplace_back(std::move(mailing), std::move(ranges), setbacks_ - waited.setbacks, until);
  unlent_ += sources_.back().remaining();
  expiries_.emplace(std::pair(until, &sources_.back()), std::prev(sources_.end()));
}

void HomeQueue::give_back(Returned&& returned, const Now& now) {
  if (returned.is_doubtful) return doubtful_.push_back(std::move(returned));
  const io::Instant until = expires(*returned.mailing, now);
  if (returned.due <= now.instant) {
    ready_expires_ = std::min(ready_expires_, until);
    ready_.push_front(std::move(returned));
    return;
  }
  returned.due = std::min(returned.due, until);
  deferred_.push_back(std::move(returned));
  std::push_heap(deferred_.begin(), deferred_.end(), Later{});
}

/// Setbacks count for those whose time had come.
void HomeQueue::collect_due(const Now& now) {
  while (!deferred_.empty() && deferred_.front().due <= now.instant) {
    std::pop_heap(deferred_.begin(), deferred_.end(), Later{});
    ready_.push_back(std::move(deferred_.back()));
    deferred_.pop_back();
    ready_.back().item.setbacks = setbacks_;
    ready_expires_ = std::min(ready_expires_, expires(*ready_.back().mailing, now));
  }
}

uint32_t HomeQueue::open() const {
  return std::accumulate(shards_.begin(), shards_.end(), 0u,
                         [](uint32_t sum, const PerShard& s) { return sum + s.open; });
}

void HomeQueue::session_news(const SessionNews& news, const Now& now) {
  collect_due(now);
  shards_[news.shard].open = news.open_now;
  for (const HostNews& host : news.hosts) board_.note(host, now.instant);
  if (news.opened > 0) refusals_ = 0;
  if (news.proven > 0) fruitless_ = 0;
  if (news.opened > 0 && now.instant >= no_growth_until_)
    allowed_ = std::min<uint32_t>(route_.policy.sessions_max, std::max(allowed_, 2 * open()));
  if (news.refused == 0) return;
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
  why->at = now.wall;
  if (why->is_final)
    last_ = std::move(why);
  else
    setback(std::move(why), now);
}

void HomeQueue::setback(SetbackPtr why, const Now& now) {
  ++setbacks_, ++refusals_;
  last_ = untold_ = std::move(why);
  is_unnoted_ = is_exhaustion_due_ = true;
  back_off(false, now);
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
  settle_doubtful(outside);
  note_setback(outside);
  tell(outside);
  expire(now, outside);
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
  if (!is_closed) lend(now, outside);
}

void HomeQueue::settle_doubtful(Outside& outside) {
  if (doubtful_.empty()) return;
  end_if(
      doubtful_, [](const Returned&) { return true; },
      in_doubt_ == InDoubtPolicy::hold ? spool::OutcomeKind::intent : spool::OutcomeKind::in_doubt,
      outside);
}

void HomeQueue::note_setback(Outside& outside) {
  if (!std::exchange(is_unnoted_, false)) return;
  for (const Source& source : sources_)
    outside.note_wait(source.mailing(), source.first(), saturated(setbacks_ - source.setbacks()),
                      backed_off_until_);
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
  while (!expiries_.empty() && expiries_.begin()->first.first <= now.instant) {
    expired_.splice(expired_.end(), sources_, expiries_.begin()->second);
    expiries_.erase(expiries_.begin());
  }
  while (!expired_.empty() && ending_ < endings_max) {
    if (auto batch = next_of(expired_, UINT32_MAX))
      end(std::move(batch), {.kind = spool::OutcomeKind::expired, .why = last_}, outside);
  }
  if (now.instant < ready_expires_) return;
  const auto is_over = [&](const Returned& r) { return expires(*r.mailing, now) <= now.instant; };
  if (!end_if(ready_, is_over, spool::OutcomeKind::expired, outside)) return;
  ready_expires_ = io::never;
  for (const Returned& r : ready_)
    ready_expires_ = std::min(ready_expires_, expires(*r.mailing, now));
}

/// Those that waited for as many setbacks as they may. Looked for once after each setback.
void HomeQueue::end_exhausted(Outside& outside) {
  const uint32_t max = route_.policy.retry.connect_attempts_max;
  if (max == 0 || refusals_ < max || !is_exhaustion_due_) return;
  const auto is_over = [&](const Returned& r) {
    Item item = r.item;
    fold(item);
    return item.refusals >= max;
  };
  for (auto source = sources_.begin(); source != sources_.end();) {
    const auto next = std::next(source);
    if (setbacks_ - source->setbacks() >= static_cast<int64_t>(max)) {
      expiries_.erase({source->expires(), &*source});
      exhausted_.splice(exhausted_.end(), sources_, source);
    }
    source = next;
  }
  while (!exhausted_.empty() && ending_ < endings_max) {
    if (auto batch = next_of(exhausted_, UINT32_MAX))
      end(std::move(batch), {.kind = spool::OutcomeKind::failed, .why = last_}, outside);
  }
  is_exhaustion_due_ =
      !end_if(ready_, is_over, spool::OutcomeKind::failed, outside) || !exhausted_.empty();
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
  outside.end(std::move(batch), ending);
}

/// Those of one block together. False: some are left, for want of a free place with the ender.
bool HomeQueue::end_if(std::list<Returned>& list, auto&& is_over, spool::OutcomeKind kind,
                       Outside& outside) {
  for (auto at = list.begin(); at != list.end();) {
    if (!is_over(*at)) {
      ++at;
      continue;
    }
    if (ending_ >= endings_max) return false;
    const SetbackPtr why = at->why ? at->why : last_;
    auto batch = std::make_unique<Batch>(
        Batch{at->mailing, at->mailing->campaign->block_of(at->item.number), {}});
    while (at != list.end() && is_over(*at) && (at->why ? at->why : last_) == why &&
           batch_takes(*batch, *at)) {
      batch->items.push_back(at->item);
      at = list.erase(at);
    }
    end(finished(std::move(batch)), {.kind = kind, .why = why}, outside);
  }
  return true;
}

void HomeQueue::issue_permits(const Now& now, Outside& outside, bool is_closed) {
  const HostPlan plan = board_.plan();
  for (unsigned s = 0; s < shards_.size(); ++s) {
    PerShard& shard = shards_[s];
    const uint32_t sessions = is_closed ? 0 : share(s);
    if (sessions == shard.sessions &&
        (sessions == 0 || (shard.list == plan.list.get() && shard.suspects == plan.suspects.get())))
      continue;
    shard.sessions = sessions;
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
    untold_ = nullptr;  // overtaken
    rate_.spend(batch->items.size());
    --shard.hungry;
    unserved = 0;
    outside.grant(turn_, std::move(batch));
  }
}

/// What is left is shared among the shards that work, down to parts of a block.
uint32_t HomeQueue::batch_items_max() const {
  const auto able =
      std::ranges::count_if(shards_, [](const PerShard& s) { return s.sessions > 0; });
  if (able < 2) return UINT32_MAX;
  const uint64_t part = (unlent_ + ready_.size()) / (2 * static_cast<uint64_t>(able));
  return static_cast<uint32_t>(std::clamp<uint64_t>(part, split_items_min, UINT32_MAX));
}

std::unique_ptr<Batch> HomeQueue::next_batch(uint32_t items_max) {
  if (auto batch = next_ready(items_max)) return batch;
  while (!sources_.empty()) {
    auto batch = next_of(sources_, items_max);
    if (batch) return batch;
  }
  return nullptr;
}

/// Those of one block that are due together travel together; a block is read once for them.
std::unique_ptr<Batch> HomeQueue::next_ready(uint32_t items_max) {
  if (ready_.empty()) return nullptr;
  const Returned& first = ready_.front();
  auto batch = std::make_unique<Batch>(
      Batch{first.mailing, first.mailing->campaign->block_of(first.item.number), {}});
  while (!ready_.empty() && batch->items.size() < items_max &&
         batch_takes(*batch, ready_.front())) {
    batch->items.push_back(ready_.front().item);
    ready_.pop_front();
  }
  return finished(std::move(batch));
}

bool HomeQueue::batch_takes(const Batch& batch, const Returned& returned) const {
  return returned.mailing == batch.mailing &&
         returned.mailing->campaign->block_of(returned.item.number) == batch.block;
}

/// The next of the first source, which goes to the end of the line, or away when it has none.
std::unique_ptr<Batch> HomeQueue::next_of(Sources& sources, uint32_t items_max) {
  const auto source = sources.begin();
  const uint32_t before = source->remaining();
  auto batch = source->next(items_max);
  unlent_ -= before - source->remaining();
  if (batch) {
    sources.splice(sources.end(), sources, source);
    return finished(std::move(batch));
  }
  expiries_.erase({source->expires(), &*source});
  sources.erase(source);
  return nullptr;
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

io::Instant HomeQueue::next(io::Instant now) const {
  io::Instant next = io::never;
  const auto at = [&](io::Instant time) {
    if (time > now) next = std::min(next, time);
  };
  if (!deferred_.empty()) at(deferred_.front().due);
  if (!expiries_.empty()) at(expiries_.begin()->first.first);
  if (!ready_.empty()) at(ready_expires_);
  if (!has_work()) return next;
  at(backed_off_until_);
  at(rate_.next(now));
  if (board_.list()) at(board_.list()->good_until);
  return next;
}

}  // namespace sluice::engine::queue
