#include "spool/mail_record.h"

#include <algorithm>

#include "io/check.h"
#include "spool/little_endian.h"

namespace sluice::spool {
namespace {

/// Recipients before it, its own, accepted at.
constexpr size_t fixed_bytes = 16;
/// Until the commit begins, the length of the payload stands here, in the place of length and type.
constexpr size_t length_at = 8;

constexpr size_t leb128_bytes(uint64_t value) {
  size_t bytes = 1;
  while (value >>= 7) ++bytes;
  return bytes;
}

void put(std::vector<std::byte>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_counted(std::vector<std::byte>& out, Bytes bytes) {
  put_leb128(out, bytes.size());
  put(out, bytes);
}

std::optional<Bytes> take_counted(Bytes& in) {
  uint64_t bytes;
  if (!get_leb128(in, bytes) || bytes > in.size()) return std::nullopt;
  const Bytes taken = in.first(bytes);
  in = in.subspan(bytes);
  return taken;
}

}  // namespace

size_t mail_payload_bytes(const NewMail& mail) {
  const auto counted = [](size_t bytes) { return leb128_bytes(bytes) + bytes; };
  size_t bytes = fixed_bytes + counted(mail.envelope.size()) + counted(mail.sender.size());
  for (const MailRecipient& recipient : mail.recipients)
    bytes += counted(recipient.group.size()) + counted(recipient.entry.size());
  for (const Bytes piece : mail.content) bytes += piece.size();
  return bytes;
}

void encode_mail(std::vector<std::byte>& out, const NewMail& mail, io::WallTime accepted_at) {
  CHECK(!mail.recipients.empty() && !mail.recipients.front().group.empty());
  const size_t begin = out.size(), payload = begin + record_header_bytes;
  out.resize(payload + fixed_bytes);
  store(std::span(out), payload + 4, static_cast<uint32_t>(mail.recipients.size()));
  store(std::span(out), payload + 8,
        static_cast<uint64_t>(std::max<int64_t>(accepted_at.time_since_epoch().count(), 0)));
  put_counted(out, mail.envelope);
  put_counted(out, std::as_bytes(std::span(mail.sender)));
  std::string_view group;
  for (const MailRecipient& recipient : mail.recipients) {
    const std::string_view name = recipient.group == group ? std::string_view() : recipient.group;
    put_counted(out, std::as_bytes(std::span(name)));
    put_counted(out, recipient.entry);
    group = recipient.group;
  }
  for (const Bytes piece : mail.content) put(out, piece);
  const size_t bytes = out.size() - payload;
  CHECK(bytes <= mail_bytes_max);
  store(std::span(out), begin + length_at, static_cast<uint32_t>(bytes));
  out.resize(begin + record_bytes(bytes));
}

std::optional<Mail> decode_mail_payload(RecordType type, Bytes payload) {
  const bool is_large = type == RecordType::large_mail;
  if ((!is_large && type != RecordType::mail) || payload.size() < fixed_bytes) return std::nullopt;
  const auto accepted_ns = load<uint64_t>(payload, 8);
  Mail mail{.first = load<uint32_t>(payload, 0),
            .count = load<uint32_t>(payload, 4),
            .accepted_at = io::WallTime(io::Duration(static_cast<int64_t>(accepted_ns)))};
  if (mail.count == 0 || mail.count > UINT32_MAX - mail.first || accepted_ns > INT64_MAX)
    return std::nullopt;
  Bytes rest = payload.subspan(fixed_bytes);
  const auto envelope = take_counted(rest);
  const auto sender = envelope ? take_counted(rest) : std::nullopt;
  if (!sender) return std::nullopt;
  mail.envelope = *envelope;
  mail.sender = {reinterpret_cast<const char*>(sender->data()), sender->size()};
  mail.recipients = rest;
  for (uint32_t i = 0; i < mail.count; ++i) {
    const auto group = take_counted(rest);
    if (!group || (i == 0 && group->empty()) || !take_counted(rest)) return std::nullopt;
  }
  mail.recipients = mail.recipients.first(mail.recipients.size() - rest.size());
  if (!is_large) {
    mail.content = rest;
    return mail;
  }
  if (rest.size() != sizeof mail.large_bytes) return std::nullopt;
  mail.large_bytes = load<uint64_t>(rest, 0);
  if (mail.large_bytes == 0) return std::nullopt;
  return mail;
}

std::optional<Mail> decode_mail(const BlockRef& ref, Bytes record) {
  if (record.size() != ref.bytes || record.size() < record_header_bytes) return std::nullopt;
  const Salt salt = Salt::from(ref.salt);
  const auto header = decode_record_header(record, salt);
  if (!header || record_bytes(header->length) != ref.bytes) return std::nullopt;
  const Bytes payload = record.subspan(record_header_bytes, header->length);
  if (!is_payload_sound(*header, payload, salt)) return std::nullopt;
  const auto mail = decode_mail_payload(header->type, payload);
  if (!mail || mail->first != ref.first || mail->count != ref.count) return std::nullopt;
  return mail;
}

void seal_mail(std::span<std::byte> records, Salt salt, uint64_t offset, uint32_t first_recipient,
               const std::function<void(uint64_t offset, size_t bytes, const Mail& mail)>& visit,
               RecordType type) {
  const auto commit = static_cast<uint32_t>(offset / record_alignment);
  while (!records.empty()) {
    const auto length = load<uint32_t>(records, length_at);
    const size_t bytes = record_bytes(length);
    const std::span<std::byte> payload = records.subspan(record_header_bytes, length);
    store(payload, 0, first_recipient);
    encode_record_header(records, salt, type, commit, payload);
    const auto mail = decode_mail_payload(type, payload);
    CHECK(mail);
    visit(offset, bytes, *mail);
    first_recipient += mail->count;
    offset += bytes;
    records = records.subspan(bytes);
  }
}

}  // namespace sluice::spool
