#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "engine/letter.h"
#include "engine/mail/template.h"
#include "engine/mailing.h"
#include "engine/report/transaction_log.h"
#include "engine/smtp/client.h"

namespace sluice::engine {

/// A recipient in somebody's hands, with the memory its message is merged from. Reused from
/// message to message: in steady state nothing is allocated.
struct Held {
  const Mailing* mailing =
      nullptr;  // nullptr: free. Alive until the outcome is durable: the coordinator holds it
  Item item;
  std::string entry;  // as stored; `recipient` points into it
  Recipient recipient;
  LetterPtr letter;      // of a mail segment: its content and sender are fields of `recipient`
  smtp::DsnRequest dsn;  // of this recipient
  mail::Merge merge;
  std::string sender;

  bool is_free() const { return mailing == nullptr; }
  /// Copies the entry in; false when it does not fit its campaign.
  bool hold(const Mailing& m, Item i, spool::Bytes bytes, LetterPtr l) {
    entry.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    item = i;
    if (!recipient.decode(std::as_bytes(std::span(entry)), m.entry_fields())) return false;
    mailing = &m;
    letter = std::move(l);
    dsn = m.message.dsn;
    if (letter) take_from_letter();
    return true;
  }
  void take_from_letter() {
    const LetterEnvelope& envelope = letter->envelope;
    dsn = {.notify = LetterRecipient::notify(recipient.fields[0]),
           .returned = envelope.returned,
           .envelope_id = envelope.envelope_id,
           .original_recipient = recipient.fields[1]};
    recipient.flags |= envelope.needs;
    recipient.fields.assign({letter->content, envelope.sender});
  }
  void release() {
    mailing = nullptr;
    letter.reset();
  }

  /// Of the message, about; see Merge::bytes_estimate().
  uint64_t bytes() const { return is_large() ? letter->large.bytes : merge.bytes_estimate(); }
  /// Its content is no part of the merge.
  bool is_large() const { return letter && letter->is_large(); }

  /// Begins the merge, and fills `sender`.
  void begin_merge() {
    merge.begin(mailing->content, recipient, item.number);
    merge.sender(sender);
  }
  /// Whose message it is, for the log. `message_id` is where its Message-ID is put; begins the
  /// merge anew.
  void describe(report::LogEntry& entry_of_log, std::string& message_id) {
    begin_merge();
    if (letter)
      message_id = letter->envelope.message_id;
    else
      merge.message_id(message_id);
    entry_of_log.sender = sender;
    entry_of_log.recipient = recipient.address;
    entry_of_log.message_id = message_id;
    entry_of_log.bytes = bytes();
  }
};

}  // namespace sluice::engine
