#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/proactor.h"
#include "spool/mail_record.h"
#include "spool/mail_segment.h"
#include "spool/mail_writer.h"

namespace sluice::spool {

/// A message of a test, owned.
struct Letter {
  std::string envelope;
  std::vector<std::pair<std::string, std::string>> recipients;  // group, entry
  std::string content;
  std::string sender;  // the domain
  friend bool operator==(const Letter&, const Letter&) = default;

  /// Calls `use(NewMail)` with views of this one.
  template <class Use>
  auto as_new_mail(Use&& use) const {
    std::vector<MailRecipient> views;
    for (const auto& [group, entry] : recipients)
      views.push_back({group, std::as_bytes(std::span(entry))});
    // In two pieces, as content comes.
    const Bytes all = std::as_bytes(std::span(content));
    const Bytes pieces[] = {all.first(all.size() / 2), all.subspan(all.size() / 2)};
    return use(NewMail{std::as_bytes(std::span(envelope)), sender, views, pieces});
  }

  static Letter from(const Mail& mail) {
    const auto text = [](Bytes bytes) {
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    Letter letter{.envelope = text(mail.envelope),
                  .content = text(mail.content),
                  .sender = std::string(mail.sender)};
    mail.visit_recipients([&](uint32_t, const MailRecipient& recipient) {
      letter.recipients.emplace_back(recipient.group, text(recipient.entry));
    });
    return letter;
  }
};

inline std::optional<uint64_t> append(MailWriter& writer, const Letter& letter) {
  return letter.as_new_mail([&](const NewMail& mail) { return writer.append(mail); });
}

/// The `number`th of a test: with one or two recipients, and content of `content_bytes`.
inline Letter letter(uint32_t number, size_t content_bytes = 100) {
  const std::string digits = std::to_string(number);
  Letter out{.envelope = "from" + digits,
             .recipients = {{"a.example", "ann" + digits + "@a.example"}},
             .content = std::string(content_bytes, static_cast<char>('a' + number % 26)),
             .sender = "from.example"};
  if (number % 3 == 1) out.recipients.emplace_back("b.example", "bob" + digits + "@b.example");
  if (number % 3 == 2) out.recipients.emplace_back("a.example", "abe" + digits + "@a.example");
  return out;
}

/// The message of a block, as it can be read now; nullopt when it is not what was written.
inline std::optional<Letter> read_letter(io::Proactor& proactor, const MailSegment& segment,
                                         uint32_t block) {
  const BlockRef ref = segment.block(block);
  std::vector<std::byte> record(ref.bytes);
  io::Read read;
  read.file = segment.file();
  read.offset = ref.offset;
  read.bytes = record;
  const int32_t bytes = io::run(proactor, read);
  record.resize(static_cast<size_t>(std::max(bytes, 0)));
  const auto mail = decode_mail(ref, record);
  if (!mail) return std::nullopt;
  return Letter::from(*mail);
}

}  // namespace sluice::spool
