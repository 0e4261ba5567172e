#include "spool/mail_segment.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "io/check.h"
#include "spool/mail_record.h"

namespace sluice::spool {

using std::chrono::milliseconds;

MailSegment::MailSegment(const MailName& name, std::string path, io::File file)
    : info_{.id = name.id(), .uid = name.uid, .is_repeatable = false},
      path_(std::move(path)),
      file_(file),
      salt_(name.salt),
      mail_class_(name.mail_class) {}

Group MailSegment::group(uint32_t index) const {
  const Run& run = run_list_[index];
  return {names_[run.name], run.first, run.count, names_[run.sender]};
}

uint32_t MailSegment::group_of(uint32_t recipient) const {
  CHECK(recipient < recipients());
  uint32_t low = 0, high = group_count();  // as in block_of()
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (run_list_[middle].first <= recipient ? low : high) = middle;
  }
  return low;
}

BlockRef MailSegment::block(uint32_t index) const {
  CHECK(index < blocks());
  const Message& message = messages_[index];
  return {message.offset, message.bytes, message.first, message.count, salt_.bits()};
}

uint32_t MailSegment::block_of(uint32_t recipient) const {
  CHECK(recipient < recipients());
  uint32_t low = 0, high = blocks();  // the first of low <= recipient < the first of high
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (messages_[middle].first <= recipient ? low : high) = middle;
  }
  return low;
}

uint32_t MailSegment::arrived_until(io::WallTime at) const {
  uint32_t known = 0, unknown = blocks();
  while (known < unknown) {
    const uint32_t middle = known + (unknown - known) / 2;
    if (accepted_at(middle) <= at)
      known = middle + 1;
    else
      unknown = middle;
  }
  return known == 0 ? 0 : messages_[known - 1].first + messages_[known - 1].count;
}

io::WallTime MailSegment::accepted_at(uint32_t block) const {
  CHECK(block < blocks());
  return info_.accepted_at + milliseconds(messages_[block].accepted_ms);
}

void MailSegment::add_message(const Place& place) {
  if (next_.blocks == 0) info_.accepted_at = place.accepted_at;
  const auto since_first =
      std::chrono::floor<milliseconds>(place.accepted_at - info_.accepted_at).count();
  const auto ms = static_cast<uint32_t>(std::clamp<int64_t>(since_first, 0, UINT32_MAX));
  const uint32_t first =
      next_.blocks == 0 ? 0 : messages_[next_.blocks - 1].first + messages_[next_.blocks - 1].count;
  messages_.grow(next_.blocks++) = {static_cast<uint32_t>(place.offset), place.bytes, first,
                                    place.recipients, ms};
}

uint32_t MailSegment::name_number(std::string_view name) {
  const auto known = name_numbers_.find(name);
  if (known != name_numbers_.end()) return known->second;
  const auto number = static_cast<uint32_t>(name_numbers_.size());
  std::string& kept = names_.grow(number);
  kept = name;
  name_numbers_.emplace(kept, number);
  return number;
}

void MailSegment::add_recipients(std::string_view name, std::string_view sender, uint32_t count) {
  const Run run{next_.recipients, count, name_number(name), name_number(sender)};
  next_.recipients += count;
  const bool can_merge = next_.runs > runs_.load(std::memory_order_relaxed);
  Run* const last = can_merge ? &run_list_.grow(next_.runs - 1) : nullptr;
  if (last && last->name == run.name && last->sender == run.sender)
    last->count += count;
  else
    run_list_.grow(next_.runs++) = run;
}

void MailSegment::add(uint64_t offset, uint32_t bytes, const Mail& mail) {
  add_message({offset, bytes, mail.count, mail.accepted_at});
  mail.visit_recipients([&](uint32_t, const MailRecipient& recipient) {
    add_recipients(recipient.group, mail.sender, 1);
  });
}

/// Whoever sees a number sees what it counts, and the recipients come last: theirs are the others.
void MailSegment::publish(uint64_t bytes) {
  const Message& last = messages_[next_.blocks - 1];
  CHECK(last.first + last.count == next_.recipients);
  bytes_.store(bytes, std::memory_order_release);
  blocks_.store(next_.blocks, std::memory_order_release);
  runs_.store(next_.runs, std::memory_order_release);
  recipients_.store(next_.recipients, std::memory_order_release);
}

void MailSegment::seal() {
  name_numbers_ = {};
  is_sealed_.store(true, std::memory_order_release);
}

}  // namespace sluice::spool
