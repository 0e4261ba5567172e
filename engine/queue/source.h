#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/flow.h"
#include "engine/message.h"

namespace sluice::engine::queue {

/// What of one campaign, or of one flow of the letters of a segment, goes by one route and was not
/// lent yet: a cursor over ranges, whatever the number of recipients.
class Source {
 public:
  /// `setbacks`: of the queue when its recipients began to wait; they know of none after it.
  /// `warns`: when the sender is to be told that they still wait. O(ranges); O(recipients) when an
  /// earlier run tried some.
  Source(MailingPtr mailing, Flow flow, std::vector<Range> ranges, int32_t setbacks,
         io::Instant expires, io::Instant warns);
  /// A part of `whole`: the recipients of `ranges`.
  Source(const Source& whole, std::vector<Range> ranges);
  Source(const Source&) = delete;

  const Mailing& mailing() const { return *mailing_; }
  Flow flow() const { return flow_; }
  int32_t setbacks() const { return setbacks_; }
  io::Instant expires() const { return expires_; }
  io::Instant warns() const { return warns_; }
  Priority priority() const { return mailing_->message.priority; }
  bool is_held = false;                // the queue's: in its list of those that are
  std::pair<uint64_t, uint64_t> turn;  // of SourceTurns
  /// How many next() has still to give.
  uint32_t remaining() const { return remaining_; }
  /// The recipient that names it in the journal (spool/FORMAT.md section 5.2): of a campaign the
  /// first of its ranges, of letters the last, for others may join those who wait.
  uint32_t name() const;
  /// All of its recipients are before `number`.
  bool is_before(uint32_t number) const;
  /// Further letters to those who began to wait as these did; it is_before() the first of `ranges`.
  void join(const std::vector<Range>& ranges);
  /// What the cursor has not passed.
  std::vector<Range> rest() const;

  /// At most `items_max` recipients of one block that wait: no fate, not deferred by an earlier
  /// run. nullptr at the end.
  std::unique_ptr<Batch> next(uint32_t items_max);

 private:
  MailingPtr mailing_;
  Flow flow_;
  std::vector<Range> ranges_;
  uint32_t first_;
  int32_t setbacks_;
  io::Instant expires_, warns_;
  uint32_t remaining_ = 0;
  size_t range_ = 0;
  uint32_t offset_ = 0;  // within the range
};

}  // namespace sluice::engine::queue
