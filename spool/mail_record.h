#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "io/clock.h"
#include "spool/campaign.h"
#include "spool/record.h"

namespace sluice::spool {

/// The payload of a message's record: envelope, recipients and content together. What is larger is
/// kept in a segment of its own (large_mail.h).
inline constexpr size_t mail_bytes_max = 1024 * 1024;
inline constexpr size_t mail_record_bytes_max = record_bytes(mail_bytes_max);
/// The content of a large message lies in records of so many octets before it (large_mail.h).
inline constexpr size_t content_piece_bytes = 64 * 1024;

/// One of those who get a message: the name of the destination's group (not empty), and an entry
/// that is opaque to the spool.
struct MailRecipient {
  std::string_view group;
  Bytes entry;
};

/// A message that is to be kept. Borrowed; the content is its pieces in a row.
struct NewMail {
  Bytes envelope;
  std::string_view sender;  // the domain of the envelope's, in lower case; may be ""
  std::span<const MailRecipient> recipients;  // at least one
  std::span<const Bytes> content;
};

/// Octets of the payload that `mail` makes: a bound, which is met but for recipients that share
/// their group with the one before. O(recipients and pieces).
size_t mail_payload_bytes(const NewMail& mail);

/// Appends the record of `mail` to `out`, but for what is known only when the commit begins: see
/// seal_mail(). One copy of the content.
void encode_mail(std::vector<std::byte>& out, const NewMail& mail, io::WallTime accepted_at);

/// A message as it was read: views into its record.
struct Mail {
  uint32_t first = 0, count = 0;  // its recipients are numbered [first, first + count)
  io::WallTime accepted_at{};
  Bytes envelope, content;
  std::string_view sender;
  uint64_t large_bytes = 0;  // of a large message: its content, which is not here
  Bytes recipients;          // as encoded, and known to be right: for visit_recipients()

  /// `visit(number, MailRecipient)` of each.
  template <class Visit>
  void visit_recipients(Visit&& visit) const;
};

/// Reads the payload of a record of type *mail* or *large mail*. nullopt when it is of another, or
/// not as FORMAT.md sections 7.2 and 7.5 say.
std::optional<Mail> decode_mail_payload(RecordType type, Bytes payload);

/// Checks a message as it was read from block `ref` of its segment (ref.bytes octets). nullopt when
/// it is not what was written: its recipients are unreadable, and no others.
std::optional<Mail> decode_mail(const BlockRef& ref, Bytes record);

/// Completes the records of one commit, which encode_mail() wrote to `records` one behind the
/// other: numbers the recipients from `first_recipient` on and makes the checksums. Once. `offset`:
/// where the commit begins in the file. `visit` is called for each, with its own offset.
void seal_mail(std::span<std::byte> records, Salt salt, uint64_t offset, uint32_t first_recipient,
               const std::function<void(uint64_t offset, size_t bytes, const Mail& mail)>& visit,
               RecordType type = RecordType::mail);

}  // namespace sluice::spool

#include "spool/leb128.h"

namespace sluice::spool {

template <class Visit>
void Mail::visit_recipients(Visit&& visit) const {
  Bytes rest = recipients;
  const auto take = [&rest] {
    uint64_t bytes = 0;
    get_leb128(rest, bytes);
    const Bytes taken = rest.first(bytes);
    rest = rest.subspan(bytes);
    return taken;
  };
  std::string_view group;
  for (uint32_t i = 0; i < count; ++i) {
    const Bytes name = take();
    if (!name.empty()) group = {reinterpret_cast<const char*>(name.data()), name.size()};
    visit(first + i, MailRecipient{group, take()});
  }
}

}  // namespace sluice::spool
