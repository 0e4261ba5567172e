#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/template.h"
#include "engine/priority.h"
#include "engine/smtp/dsn.h"
#include "io/clock.h"
#include "spool/large_mail.h"

namespace sluice::engine {

/// What a mail segment stores as the envelope of a message: what all of its recipients share beside
/// the content. Opaque to the spool. Layout (integers LEB128, texts as length and octets): version,
/// needs (as Recipient::flags), RET, sender, ENVID, Message-ID.
struct LetterEnvelope {
  static constexpr uint64_t version = 1;

  uint8_t needs = 0;
  smtp::ReturnedContent returned = smtp::ReturnedContent::unsaid;
  std::string_view sender;       // "" is the null sender
  std::string_view envelope_id;  // ENVID, xtext undone; "" for none
  std::string_view message_id;   // with its angle brackets; "" for none

  /// Views into `bytes`. False when it is damaged, or of a newer release.
  bool decode(spool::Bytes bytes);
  void encode(std::string& out) const;  // appends
};

/// A segment holds letters of one priority, which is its class (spool::MailName).
inline uint8_t class_of(Priority priority) { return static_cast<uint8_t>(priority); }
inline Priority priority_of_class(uint8_t mail_class) {
  return mail_class < priority_count ? static_cast<Priority>(mail_class) : Priority::normal;
}

/// A recipient of a letter as its entry keeps it: a Recipient of two fields.
struct LetterRecipient {
  static constexpr size_t fields = 2;  // NOTIFY, ORCPT

  /// NOTIFY is kept as its parameter's value; `original` as it came, in xtext.
  static smtp::Notify notify(std::string_view field) {
    return smtp::parse_notify(field).value_or(smtp::Notify{});
  }
};

/// A message that came by itself, read from its mail segment: shared by the batch it was read for
/// and all sessions that hold recipients of it. Immutable.
struct Letter {
  std::vector<std::byte> octets;  // the record: everything else points into it
  LetterEnvelope envelope;
  std::string_view content;   // wire form; "" of a large one
  spool::LargeContent large;  // where it lies, then; else of 0 octets

  bool is_large() const { return large.bytes > 0; }

  /// What merges a letter: the first field is the content, the second the sender.
  static const mail::Template& form();
};
using LetterPtr = std::shared_ptr<const Letter>;

}  // namespace sluice::engine
