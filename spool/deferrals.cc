#include "spool/deferrals.h"

#include <algorithm>

#include "io/check.h"

namespace sluice::spool {

bool Deferrals::contains(uint32_t recipient) const {
  return recipient / 64 < pages_.size() && pages_[recipient / 64].has(recipient);
}

Deferral Deferrals::get(uint32_t recipient) const {
  const Page& page = pages_[recipient / 64];
  const Slot& slot = page.slots[page.place(recipient)];
  return {.recipient = recipient,
          .attempt = slot.attempt,
          .refusals = slot.refusals,
          .transfers = slot.transfers,
          .was_told = slot.was_told,
          .is_intent = slot.is_intent,
          .next_attempt = io::WallTime(io::Duration(slot.next_attempt_ns))};
}

Deferral Deferrals::at(uint32_t recipient) const {
  CHECK(contains(recipient));
  return get(recipient);
}

Deferrals::Iterator Deferrals::find(uint32_t recipient) const {
  return contains(recipient) ? Iterator(*this, recipient) : end();
}

Deferrals::Iterator Deferrals::lower_bound(uint32_t recipient) const {
  uint64_t wanted = ~uint64_t{0} << recipient % 64;
  for (size_t page = recipient / 64; page < pages_.size(); ++page, wanted = ~uint64_t{0})
    if (const uint64_t left = pages_[page].present & wanted)
      return Iterator(
          *this, static_cast<uint32_t>(page * 64) + static_cast<uint32_t>(std::countr_zero(left)));
  return end();
}

void Deferrals::put(const Deferral& deferral) {
  if (deferral.recipient / 64 >= pages_.size()) pages_.resize(deferral.recipient / 64 + 1);
  Page& page = pages_[deferral.recipient / 64];
  if (!page.has(deferral.recipient)) {
    page.insert(deferral.recipient);
    ++size_;
  }
  page.slots[page.place(deferral.recipient)] = {
      .next_attempt_ns = deferral.next_attempt.time_since_epoch().count(),
      .attempt = deferral.attempt,
      .refusals = deferral.refusals,
      .transfers = deferral.transfers,
      .was_told = deferral.was_told,
      .is_intent = deferral.is_intent};
}

void Deferrals::erase(uint32_t recipient) {
  if (!contains(recipient)) return;
  pages_[recipient / 64].erase(recipient);
  --size_;
}

void Deferrals::Page::insert(uint32_t recipient) {
  const size_t held = count(), at = place(recipient);
  if (held == 0 || std::has_single_bit(held)) {  // full, for all that is known of it
    auto wider = std::make_unique_for_overwrite<Slot[]>(std::max<size_t>(2 * held, 1));
    std::copy_n(slots.get(), held, wider.get());
    slots = std::move(wider);
  }
  std::copy_backward(slots.get() + at, slots.get() + held, slots.get() + held + 1);
  present |= uint64_t{1} << recipient % 64;
}

void Deferrals::Page::erase(uint32_t recipient) {
  const size_t held = count(), at = place(recipient);
  std::copy(slots.get() + at + 1, slots.get() + held, slots.get() + at);
  present &= ~(uint64_t{1} << recipient % 64);
  if (present == 0) slots.reset();
}

}  // namespace sluice::spool
