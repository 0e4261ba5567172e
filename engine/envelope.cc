#include "engine/envelope.h"

#include <algorithm>

#include "io/check.h"

namespace sluice::engine {

Envelope::Joined Envelope::add(const Mailing& mailing, Item item, spool::Bytes entry) {
  CHECK(!is_offered);
  if (is_free()) {
    if (!held_.hold(mailing, item, entry)) return Joined::damaged;
    at_hand_ = 0;
    members_.push_back({.item = item});
    return Joined::yes;
  }
  if (!goes_with_first(mailing, entry)) return Joined::no;
  if (!scratch_.decode(entry, mailing.content.columns())) return Joined::damaged;
  if (entries_.empty()) {
    append_entry(held_.recipient);
    members_[0].entry_end = static_cast<uint32_t>(entries_.size());
  }
  append_entry(scratch_);
  members_.push_back({.item = item, .entry_end = static_cast<uint32_t>(entries_.size())});
  return Joined::yes;
}

/// RFC 6531 section 3.4: SMTPUTF8 is asked for a transaction as a whole, and a peer without it
/// refuses all of it.
bool Envelope::goes_with_first(const Mailing& mailing, spool::Bytes entry) const {
  if (&mailing != held_.mailing || mailing.content.is_personal() || entry.empty()) return false;
  const auto differs = static_cast<uint8_t>(entry.front()) ^ held_.recipient.flags;
  return (differs & Recipient::needs_smtputf8) == 0 && entries_.size() < entries_bytes_max;
}

void Envelope::append_entry(const Recipient& recipient) {
  Recipient bare{.flags = recipient.flags, .address = recipient.address, .fields = {}};
  bare.fields.resize(held_.mailing->content.columns());
  bare.encode(entries_);
}

void Envelope::drop_last() {
  CHECK(!is_offered && members_.size() > 1);
  members_.pop_back();
  entries_.resize(members_.back().entry_end);
}

void Envelope::release() {
  held_.release();
  members_.clear();
  entries_.clear();
  addresses_.clear();
  is_offered = was_split = false;
  accepted = 0;
}

std::string_view Envelope::entry(unsigned recipient) const {
  if (entries_.empty()) return held_.entry;
  const uint32_t begin = recipient == 0 ? 0 : members_[recipient - 1].entry_end;
  return std::string_view(entries_).substr(begin, members_[recipient].entry_end - begin);
}

Held& Envelope::at_hand(unsigned recipient) {
  if (recipient != at_hand_) {
    CHECK(held_.hold(*held_.mailing, item(recipient), std::as_bytes(std::span(entry(recipient)))));
    at_hand_ = recipient;
  }
  return held_;
}

smtp::Transaction Envelope::transaction() {
  addresses_.clear();
  if (entries_.empty()) addresses_.push_back(held_.recipient.address);
  for (unsigned i = 0; !entries_.empty() && i < size(); ++i) {
    CHECK(scratch_.decode(std::as_bytes(std::span(entry(i))), mailing().content.columns()));
    addresses_.push_back(scratch_.address);
  }
  rewind();
  return {.sender = held_.sender,
          .recipients = addresses_,
          .bytes = held_.merge.bytes_estimate(),
          .needs_8bitmime = held_.merge.needs_8bitmime(),
          .needs_smtputf8 = held_.merge.needs_smtputf8(),
          .body = &held_.merge};
}

}  // namespace sluice::engine
