#include "engine/envelope.h"

#include "io/check.h"

namespace sluice::engine {

unsigned Envelope::size() const {
  return several_ ? static_cast<unsigned>(several_->members.size()) : !is_free();
}

Envelope::Joined Envelope::add(const Mailing& mailing, Item item, spool::Bytes entry,
                               const LetterPtr& letter) {
  CHECK(!is_offered);
  if (is_free()) return held_.hold(mailing, item, entry, letter) ? Joined::yes : Joined::damaged;
  if (&mailing != held_.mailing || (!letter && mailing.content.is_personal())) return Joined::no;
  Recipient recipient;
  if (!recipient.decode(entry, mailing.entry_fields())) return Joined::damaged;
  if (!goes_with_first(recipient, letter)) return Joined::no;
  if (!several_) {
    several_ = std::make_unique<Several>();
    Recipient first;
    CHECK(first.decode(std::as_bytes(std::span(held_.entry)), mailing.entry_fields()));
    append(held_.item, first);
  }
  append(item, recipient);
  return Joined::yes;
}

/// RFC 6531 section 3.4: SMTPUTF8 is asked for a transaction as a whole, and a peer without it
/// refuses all of it. What a letter's recipients want to hear may differ, but not within one
/// transaction of ours.
bool Envelope::goes_with_first(const Recipient& recipient, const LetterPtr& letter) const {
  if (several_ && several_->entries.size() >= entries_bytes_max) return false;
  uint8_t flags = recipient.flags;
  if (letter) {
    if (letter != held_.letter ||
        LetterRecipient::notify(recipient.fields[0]) != held_.dsn.notify ||
        !recipient.fields[1].empty() || !held_.dsn.original_recipient.empty())
      return false;
    flags |= letter->envelope.needs;
  }
  return ((flags ^ held_.recipient.flags) & Recipient::needs_smtputf8) == 0;
}

void Envelope::append(const Item& item, const Recipient& recipient) {
  Recipient kept{.flags = recipient.flags, .address = recipient.address, .fields = {}};
  if (held_.letter)
    kept.fields = recipient.fields;
  else
    kept.fields.resize(recipient.fields.size());
  kept.encode(several_->entries);
  several_->members.push_back(
      {.item = item, .entry_end = static_cast<uint32_t>(several_->entries.size())});
}

void Envelope::drop_last() {
  CHECK(!is_offered && several_ && several_->members.size() > 1);
  several_->members.pop_back();
  several_->entries.resize(several_->members.back().entry_end);
}

void Envelope::release() {
  held_.release();
  several_.reset();
  is_offered = was_split = has_ended_ = false;
  accepted = at_hand_ = 0;
}

std::string_view Envelope::entry(unsigned recipient) const {
  if (!several_) return held_.entry;
  const std::vector<Member>& members = several_->members;
  const uint32_t begin = recipient == 0 ? 0 : members[recipient - 1].entry_end;
  return std::string_view(several_->entries).substr(begin, members[recipient].entry_end - begin);
}

Held& Envelope::at_hand(unsigned recipient) {
  if (recipient != at_hand_) {
    CHECK(held_.hold(*held_.mailing, item(recipient), std::as_bytes(std::span(entry(recipient))),
                     held_.letter));
    at_hand_ = recipient;
  }
  return held_;
}

smtp::Transaction Envelope::transaction() {
  std::span<const std::string_view> recipients(&held_.recipient.address, 1);
  if (several_) {
    several_->addresses.clear();
    Recipient recipient;
    for (unsigned i = 0; i < size(); ++i) {
      CHECK(recipient.decode(std::as_bytes(std::span(entry(i))), mailing().entry_fields()));
      several_->addresses.push_back(recipient.address);
    }
    recipients = several_->addresses;
  }
  rewind();
  return {.sender = held_.sender,
          .recipients = recipients,
          .bytes = held_.bytes(),
          .needs_8bitmime = held_.merge.needs_8bitmime(),
          .needs_smtputf8 = held_.merge.needs_smtputf8(),
          .needs_requiretls = (held_.recipient.flags & Recipient::needs_requiretls) != 0,
          .dsn = held_.dsn,
          .body = &held_.merge};
}

}  // namespace sluice::engine
