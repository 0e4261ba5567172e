#include "engine/queue/home_queue.h"

#include <algorithm>
#include <numeric>

#include "engine/queue/retry.h"

namespace sluice::engine::queue {

namespace {
constexpr io::Duration growth_pause = std::chrono::seconds(60);
}

std::unique_ptr<Batch> Source::next() {
  const spool::Campaign& campaign = *mailing_->campaign;
  const spool::Progress& recovered = mailing_->recovered;
  while (range_ < ranges_.size()) {
    const Range range = ranges_[range_];
    if (offset_ == range.count) {
      ++range_, offset_ = 0;
      continue;
    }
    const uint32_t first = range.first + offset_;
    const uint32_t block = campaign.block_of(first);
    const spool::BlockRef ref = campaign.block(block);
    const uint32_t end = std::min(range.first + range.count, ref.first + ref.count);
    offset_ = end - range.first;
    auto batch = std::make_unique<Batch>(Batch{mailing_, block, {}});
    batch->items.reserve(end - first);
    for (uint32_t number = first; number < end; ++number)
      if (!recovered.has_fate(number) && !recovered.deferred.contains(number))
        batch->items.push_back({number, 0});
    if (!batch->items.empty()) return batch;
  }
  return nullptr;
}

void HomeQueue::add(MailingPtr mailing, std::vector<Range> ranges) {
  if (!ranges.empty()) sources_.emplace_back(std::move(mailing), std::move(ranges));
}

void HomeQueue::give_back(Returned&& returned) {
  deferred_.push_back(std::move(returned));
  std::push_heap(deferred_.begin(), deferred_.end(), Later{});
}

uint32_t HomeQueue::open() const { return std::accumulate(open_.begin(), open_.end(), 0u); }

void HomeQueue::session_news(const SessionNews& news, io::Instant now, uint64_t random) {
  open_[news.shard] = news.open_now;
  if (news.proven > 0) refusals_ = 0;
  if (news.opened > 0 && now >= no_growth_until_) {
    allowed_ = std::min<uint32_t>(route_.policy.sessions_max, std::max(allowed_, 2 * open()));
  }
  if (news.refused == 0) return;
  if (const uint32_t still_open = open(); still_open > 0) {
    allowed_ = std::min(allowed_, still_open);
    no_growth_until_ = now + growth_pause;
    return;
  }
  allowed_ = 1;
  if (now < backed_off_until_) return;  // of the same wave
  backed_off_until_ = now + retry_delay(route_.policy.retry, ++refusals_, random);
}

uint32_t HomeQueue::share(unsigned shard) const {
  const auto shards = static_cast<uint32_t>(permits_.size());
  const uint32_t rank = (shard + shards - route_.home) % shards;  // the home shard gets the first
  return allowed_ / shards + (rank < allowed_ % shards ? 1 : 0);
}

std::unique_ptr<Batch> HomeQueue::next_deferred(io::Instant now) {
  if (deferred_.empty() || deferred_.front().due > now) return nullptr;
  auto batch = std::make_unique<Batch>();
  // Those of one block that are due together travel together; a block is read once for them.
  while (!deferred_.empty() && deferred_.front().due <= now) {
    const Returned& first = deferred_.front();
    const uint32_t block = first.mailing->campaign->block_of(first.item.number);
    if (!batch->mailing) {
      batch->mailing = first.mailing;
      batch->block = block;
    } else if (batch->mailing != first.mailing || batch->block != block) {
      break;
    }
    batch->items.push_back(first.item);
    std::pop_heap(deferred_.begin(), deferred_.end(), Later{});
    deferred_.pop_back();
  }
  std::sort(batch->items.begin(), batch->items.end(),
            [](Item a, Item b) { return a.number < b.number; });
  return batch;
}

std::unique_ptr<Batch> HomeQueue::next_batch(io::Instant now) {
  if (auto batch = next_deferred(now)) return batch;
  while (!sources_.empty()) {
    Source source = std::move(sources_.front());
    sources_.pop_front();
    auto batch = source.next();
    if (!batch) continue;
    sources_.push_back(std::move(source));
    return batch;
  }
  return nullptr;
}

io::Instant HomeQueue::next(io::Instant now) const {
  if (now < backed_off_until_)
    return (sources_.empty() && deferred_.empty()) ? io::never : backed_off_until_;
  return deferred_.empty() || deferred_.front().due <= now ? io::never : deferred_.front().due;
}

}  // namespace sluice::engine::queue
