#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/smtp/address_syntax.h"
#include "engine/smtp/stage.h"
#include "engine/smtp/transaction.h"

namespace sluice::engine::smtp {

/// A transaction under way: two cursors over the order MAIL, RCPT for each recipient, DATA, content
/// with its final dot. Commands before `send` were produced; the replies to those before `due` were
/// read, so that due <= send always.
struct Exchange {
  static constexpr size_t recipients_max = 1024;

  /// A place in the order of commands.
  using Position = uint16_t;

  Transaction transaction;
  TransactionNumber number = 0;
  Position send = 0, due = 0;
  uint16_t accepted = 0;        // recipients that RCPT was granted for
  uint16_t undecided = 0;       // recipients without a verdict, nor returned
  uint16_t tail = 0;            // the last two octets of content sent; 0: none
  bool was_checked = false;     // against the peer's extensions
  bool has_unwritable = false;  // some recipient's address cannot be written
  bool mail_accepted = false;
  bool is_abandoned = false;  // nothing more of it is to be sent
  bool is_body_read = false;
  bool is_dot_asked_for = false;  // of a transaction that withholds it
  std::bitset<recipients_max> decided;

  Position recipients() const { return static_cast<Position>(transaction.recipients.size()); }
  static constexpr Position mail = 0, first_rcpt = 1;
  Position data() const { return static_cast<Position>(recipients() + 1); }
  Position dot() const { return static_cast<Position>(recipients() + 2); }
  Position end() const { return static_cast<Position>(recipients() + 3); }

  bool has_reply_due() const { return due < send; }
  /// 354 was read and the final dot is not produced.
  bool is_sending_content() const { return due == dot() && send == dot(); }
  bool is_dot_sent() const { return send == end(); }
  /// The peer holds an envelope that nothing has used up or cleared.
  bool has_open_envelope() const { return mail_accepted || accepted > 0; }

  void note_content(std::span<const char> octets) {
    for (const char c : octets.last(std::min<size_t>(octets.size(), 2))) {
      tail = static_cast<uint16_t>(tail << 8 | static_cast<unsigned char>(c));
    }
  }
  /// Or nothing was sent at all.
  bool ends_in_crlf() const { return tail == 0 || tail == 0x0d0a; }

  bool is_writable(unsigned recipient) const {
    return is_writable_address(transaction.recipients[recipient], transaction.needs_smtputf8);
  }
  /// `position`, or the next after it that is not a RCPT of an unwritable address.
  Position skip(Position position) const {
    if (!has_unwritable) return position;
    while (position >= first_rcpt && position < data() && !is_writable(position - 1u)) ++position;
    return position;
  }

  /// The command at `position` (which is not end()).
  Stage stage_at(Position position) const {
    if (position == mail) return Stage::mail;
    if (position < data()) return Stage::rcpt;
    return position == data() ? Stage::data : Stage::final_dot;
  }
};

}  // namespace sluice::engine::smtp
