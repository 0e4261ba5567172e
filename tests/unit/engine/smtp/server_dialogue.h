#pragma once

#include <string>
#include <string_view>

#include "engine/smtp/server.h"

namespace sluice::engine::smtp {

/// All extensions; small limits: 1,000 octets, 3 recipients.
ServerOptions dialogue_options();

/// Plays a dialogue with a server that has greeted, and returns what went otherwise ("" for
/// nothing):
///
///   C: MAIL FROM:<a@b.example>   the client says so; \r \n \0 \xHH and \\ as in C++
///   c: MAI                       the same, without the CRLF
///   S: 250 2.1.0 Ok              the server says this, next
///   E: mail <a@b.example>        this event comes, next
///   A: mail 451 4.3.1 no         the answer to the next such event, instead of yes
///   H:                           EHLO and its reply
///   T:                           TLS has begun with the session (after STARTTLS it does by itself)
///   R: 451 4.3.1 no              refuse_message()
///
/// Events are `mail <sender>`, `rcpt <recipient>` and `message OCTETS [8bit] content` with what was
/// asked for, `content`, `dropped REFUSAL`, `auth user:password`, `starttls`, `etrn target`,
/// `closed`. Client lines up to the next other line come in one piece. It is played so; with each
/// piece cut in two at every place; and an octet at a time. `is_whole_only`: only so.
std::string play_server(std::string_view script, const ServerOptions& options = dialogue_options(),
                        bool is_whole_only = false);

}  // namespace sluice::engine::smtp
