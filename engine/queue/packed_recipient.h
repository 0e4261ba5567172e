#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "engine/message.h"
#include "engine/queue/reason_table.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// A recipient that waits in its queue and is known by itself, in 24 octets. Either it waits for
/// its time, or its time has come, and setbacks of the queue since then count for it.
class PackedRecipient {
 public:
  uint32_t number() const { return number_; }
  uint16_t refusals() const { return refusals_; }
  bool was_deferred() const { return was_deferred_; }
  bool was_told() const { return was_told_; }
  bool is_held_in_doubt() const { return is_held_in_doubt_; }
  void release() { is_held_in_doubt_ = false; }

  /// When it is to be tried; what has passed, when its time has come.
  io::Instant retry_at() const {
    return is_due_ ? io::Instant{} : io::Instant(io::Duration(when_));
  }
  void wait_until(io::Instant time) { when_ = time.time_since_epoch().count(), is_due_ = false; }
  /// `setbacks`: of its queue, so far.
  void come_due(int32_t setbacks) { when_ = setbacks, is_due_ = true; }

 private:
  friend class RecipientPacker;
  friend class DeferredHeap;

  int64_t when_ = 0;  // the time it waits for, or the queue's setbacks when it had come
  uint32_t mailing_ = 0, number_ = 0;
  uint16_t attempts_ = 0, refusals_ = 0, transfers_ = 0;
  uint16_t why_ : 11 = 0;
  bool is_due_ : 1 = false;
  bool is_warned_first_ : 1 = false;  // DeferredHeap's
  bool was_deferred_ : 1 = false;
  bool was_told_ : 1 = false;
  bool is_held_in_doubt_ : 1 = false;
};
static_assert(sizeof(PackedRecipient) == 24);

/// Packs a queue's recipients: what many of them have in common stands here once. A mailing is
/// held as long as one of them is packed. Letters stand together that came in the same second.
class RecipientPacker {
 public:
  /// As one whose time had come when `returned.item` was last counted. `warns`: when the sender of
  /// the mailing is to be told of delays; the first one said counts.
  PackedRecipient pack(const Returned& returned, io::Instant warns);
  /// `setbacks`: of the queue, so far: none counts for one that waits for its time.
  Item item(const PackedRecipient& packed, int32_t setbacks) const;
  /// It is nowhere any more. What pack() returned must come here once.
  void forget(const PackedRecipient& packed);

  const MailingPtr& mailing(const PackedRecipient& packed) const {
    return slots_[packed.mailing_].mailing;
  }
  io::Instant warns(const PackedRecipient& packed) const { return slots_[packed.mailing_].warns; }
  /// May be null.
  const SetbackPtr& why(const PackedRecipient& packed) const { return reasons_.at(packed.why_); }

 private:
  struct Slot {
    MailingPtr mailing;
    uint64_t packed = 0;
    io::Instant warns{};
  };
  uint32_t slot(const MailingPtr& mailing, io::Instant warns);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::map<std::pair<const Mailing*, int64_t>, uint32_t> by_mailing_;  // and when it warns
  ReasonTable reasons_;
};

}  // namespace sluice::engine::queue
