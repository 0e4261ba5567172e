#include "engine/block_load.h"

namespace sluice::engine {

BlockLoad::BlockLoad(io::Proactor& proactor, std::unique_ptr<Batch> batch, Listener& listener)
    : listener_(listener), batch_(std::move(batch)) {
  const spool::Campaign& campaign = *batch_->mailing->campaign;
  const spool::BlockRef ref = campaign.block(batch_->block);
  octets_.resize(ref.bytes);
  read_.bind<&BlockLoad::loaded>(this);
  read_.file = campaign.file();
  read_.offset = ref.offset;
  read_.bytes = octets_;
  proactor.submit(read_);
}

void BlockLoad::loaded(io::Read&, const io::Completion& completion) {
  result_ = find_entries(completion.result);
  if (result_ == Result::ready) keep_entries_only();
  listener_.block_loaded(*this);
}

BlockLoad::Result BlockLoad::find_entries(int32_t result) {
  if (result < 0) return Result::unreadable;
  if (static_cast<size_t>(result) != octets_.size()) return Result::damaged;
  const std::vector<Item>& items = batch_->items;
  entries_.reserve(items.size());
  const bool is_sound = spool::visit_block(
      batch_->mailing->campaign->block(batch_->block), octets_,
      [&](uint32_t number, spool::Bytes entry) {
        if (entries_.size() < items.size() && items[entries_.size()].number == number)
          entries_.push_back(entry);
      });
  return is_sound && entries_.size() == items.size() ? Result::ready : Result::damaged;
}

void BlockLoad::keep_entries_only() {
  size_t wanted = 0;
  for (const spool::Bytes entry : entries_) wanted += entry.size();
  if (wanted > octets_.size() / 2) return;
  std::vector<std::byte> kept;
  kept.reserve(wanted);  // the views stay good
  for (spool::Bytes& entry : entries_) {
    const size_t at = kept.size();
    kept.insert(kept.end(), entry.begin(), entry.end());
    entry = spool::Bytes(kept).subspan(at);
  }
  octets_ = std::move(kept);
}

}  // namespace sluice::engine
