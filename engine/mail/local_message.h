#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/header_field.h"
#include "io/clock.h"

namespace sluice::engine::mail {

/// What a message must have, and gets where its author left it out.
struct MissingFields {
  std::string name, address;  // of From; UTF-8, the name may be empty
  std::string message_id;     // with its <>
  io::WallTime date{};
};

/// A message as a program on this machine writes it: LF or CRLF lines, with a whole header, a part
/// of one or none, and not bound to what SMTP takes.
class LocalMessage {
 public:
  explicit LocalMessage(std::string_view octets);
  LocalMessage(const LocalMessage&) = delete;
  LocalMessage& operator=(const LocalMessage&) = delete;

  /// The addresses of To, Cc and Bcc; where there is one of Resent-To, Resent-Cc and Resent-Bcc
  /// (RFC 5322 section 3.6.6), of those. As parse_address_list() gives them; or what is wrong, with
  /// line and field.
  std::expected<std::vector<std::string>, std::string> recipients() const;

  /// The message complete (RFC 6409 section 8) and ready for Template::literal(): CRLF lines, what
  /// was missing added, without Bcc, Resent-Bcc, Return-Path, an mbox `From ` line and NUL octets.
  /// Lines longer than wire_line_bytes_max go on in the next one, behind a blank; nothing else
  /// changes.
  std::string complete(const MissingFields& missing) const;

 private:
  std::string text_;
  Header header_;  // views into text_
};

}  // namespace sluice::engine::mail
