#include "engine/queue/packed_recipient.h"

namespace sluice::engine::queue {

namespace {
constexpr uint16_t why_mask = (1 << 11) - 1;
static_assert(ReasonTable::index_max <= why_mask);

/// Letters of one segment are told of at different times.
int64_t whole_seconds(io::Instant time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}
}  // namespace

PackedRecipient RecipientPacker::pack(const Returned& returned, io::Instant warns) {
  PackedRecipient packed;
  packed.mailing_ = slot(returned.mailing, warns);
  packed.number_ = returned.item.number;
  packed.attempts_ = returned.item.attempts;
  packed.refusals_ = returned.item.refusals;
  packed.transfers_ = returned.item.transfers;
  packed.why_ = reasons_.take(returned.why) & why_mask;
  packed.was_deferred_ = returned.item.was_deferred;
  packed.was_told_ = returned.item.was_told;
  packed.is_held_in_doubt_ = returned.is_held_in_doubt;
  packed.come_due(returned.item.setbacks);
  return packed;
}

uint32_t RecipientPacker::slot(const MailingPtr& mailing, io::Instant warns) {
  const auto [it, is_new] = by_mailing_.try_emplace({mailing.get(), whole_seconds(warns)});
  if (is_new) {
    if (free_.empty()) {
      free_.push_back(static_cast<uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    it->second = free_.back();
    free_.pop_back();
    slots_[it->second] = {.mailing = mailing, .warns = warns};
  }
  ++slots_[it->second].packed;
  return it->second;
}

Item RecipientPacker::item(const PackedRecipient& packed, int32_t setbacks) const {
  return {.number = packed.number_,
          .setbacks = packed.is_due_ ? static_cast<int32_t>(packed.when_) : setbacks,
          .attempts = packed.attempts_,
          .refusals = packed.refusals_,
          .transfers = packed.transfers_,
          .was_deferred = packed.was_deferred_,
          .was_told = packed.was_told_};
}

void RecipientPacker::forget(const PackedRecipient& packed) {
  reasons_.drop(packed.why_);
  Slot& slot = slots_[packed.mailing_];
  if (--slot.packed > 0) return;
  by_mailing_.erase({slot.mailing.get(), whole_seconds(slot.warns)});
  slot.mailing = nullptr;
  free_.push_back(packed.mailing_);
}

}  // namespace sluice::engine::queue
