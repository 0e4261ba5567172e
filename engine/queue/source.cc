#include "engine/queue/source.h"

#include <algorithm>

#include "io/check.h"

namespace sluice::engine::queue {

namespace {

/// Those of whom earlier runs know nothing.
uint32_t count_waiting(const Mailing& mailing, const std::vector<Range>& ranges) {
  uint32_t count = 0;
  for (const Range range : ranges) {
    count += range.count;
    for (uint32_t i = 0; !mailing.tried.empty() && i < range.count; ++i)
      count -= mailing.was_tried(range.first + i);
  }
  return count;
}

}  // namespace

Source::Source(MailingPtr mailing, Flow flow, std::vector<Range> ranges, int32_t setbacks,
               io::Instant expires, io::Instant warns)
    : mailing_(std::move(mailing)),
      flow_(flow),
      ranges_(std::move(ranges)),
      first_(ranges_.front().first),
      setbacks_(setbacks),
      expires_(expires),
      warns_(warns),
      remaining_(count_waiting(*mailing_, ranges_)) {}

Source::Source(const Source& whole, std::vector<Range> ranges)
    : Source(whole.mailing_, whole.flow_, std::move(ranges), whole.setbacks_, whole.expires_,
             whole.warns_) {
  first_ = whole.first_;
}

uint32_t Source::name() const {
  const Range& last = ranges_.back();
  return mailing_->letters ? last.first + last.count - 1 : first_;
}

bool Source::is_before(uint32_t number) const {
  return uint64_t{ranges_.back().first} + ranges_.back().count <= number;
}

void Source::join(const std::vector<Range>& ranges) {
  CHECK(is_before(ranges.front().first));
  remaining_ += count_waiting(*mailing_, ranges);
  for (const Range range : ranges) {
    Range& last = ranges_.back();
    if (last.first + last.count == range.first)
      last.count += range.count;
    else
      ranges_.push_back(range);
  }
}

std::vector<Range> Source::rest() const {
  std::vector<Range> rest(ranges_.begin() + static_cast<ptrdiff_t>(range_), ranges_.end());
  if (rest.empty()) return rest;
  rest.front().first += offset_;
  rest.front().count -= offset_;
  if (rest.front().count == 0) rest.erase(rest.begin());
  return rest;
}

std::unique_ptr<Batch> Source::next(uint32_t items_max) {
  const spool::Campaign& campaign = *mailing_->campaign;
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
    auto batch = std::make_unique<Batch>(Batch{mailing_, block, {}});
    uint32_t number = first;
    for (; number < end && batch->items.size() < items_max; ++number)
      if (!mailing_->was_tried(number))
        batch->items.push_back({.number = number, .setbacks = setbacks_});
    offset_ = number - range.first;
    remaining_ -= static_cast<uint32_t>(batch->items.size());
    if (!batch->items.empty()) return batch;
  }
  return nullptr;
}

}  // namespace sluice::engine::queue
