#include "engine/envelope.h"

#include "io/check.h"

namespace sluice::engine {

unsigned Envelope::size() const {
  return several_ ? static_cast<unsigned>(several_->members.size()) : !is_free();
}

Envelope::Joined Envelope::add(const Mailing& mailing, Item item, spool::Bytes entry) {
  CHECK(!is_offered);
  if (is_free()) return held_.hold(mailing, item, entry) ? Joined::yes : Joined::damaged;
  if (!goes_with_first(mailing, entry)) return Joined::no;
  Recipient recipient;
  if (!recipient.decode(entry, mailing.content.columns())) return Joined::damaged;
  if (!several_) {
    several_ = std::make_unique<Several>();
    append(held_.item, held_.recipient);
  }
  append(item, recipient);
  return Joined::yes;
}

/// RFC 6531 section 3.4: SMTPUTF8 is asked for a transaction as a whole, and a peer without it
/// refuses all of it.
bool Envelope::goes_with_first(const Mailing& mailing, spool::Bytes entry) const {
  if (&mailing != held_.mailing || mailing.content.is_personal() || entry.empty()) return false;
  const auto differs = static_cast<uint8_t>(entry.front()) ^ held_.recipient.flags;
  const bool is_full = several_ && several_->entries.size() >= entries_bytes_max;
  return (differs & Recipient::needs_smtputf8) == 0 && !is_full;
}

void Envelope::append(const Item& item, const Recipient& recipient) {
  Recipient bare{.flags = recipient.flags, .address = recipient.address, .fields = {}};
  bare.fields.resize(recipient.fields.size());
  bare.encode(several_->entries);
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
    CHECK(held_.hold(*held_.mailing, item(recipient), std::as_bytes(std::span(entry(recipient)))));
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
      CHECK(recipient.decode(std::as_bytes(std::span(entry(i))), mailing().content.columns()));
      several_->addresses.push_back(recipient.address);
    }
    recipients = several_->addresses;
  }
  rewind();
  return {.sender = held_.sender,
          .recipients = recipients,
          .bytes = held_.merge.bytes_estimate(),
          .needs_8bitmime = held_.merge.needs_8bitmime(),
          .needs_smtputf8 = held_.merge.needs_smtputf8(),
          .dsn = mailing().message.dsn,
          .body = &held_.merge};
}

}  // namespace sluice::engine
