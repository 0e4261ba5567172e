#pragma once

#include <cstdint>
#include <string_view>

#include "engine/smtp/reply_parser.h"
#include "engine/smtp/stage.h"
#include "engine/smtp/verdict.h"

namespace sluice::engine::smtp {

/// What to do about a reply.
enum class Course : uint8_t {
  go_on,       // what was asked for is granted
  refuse,      // it is not: for all that `scope` reaches; the session goes on
  split,       // no further recipients in this transaction: that of RCPT belongs in another one
  refuse_end,  // it is not, and the session is of no use any more
  end,         // the session is of no use any more
};

struct Ruling {
  Course course = Course::go_on;
  Result result = Result::success;
  Scope scope = Scope::recipient;
  std::string_view reason;  // the reply makes no sense here, and why; empty: it speaks for itself
};

/// How far a reply reaches, decided here and nowhere else. `awaited` is what it answers: the stage
/// of a command, `block` while content goes out (nothing is due before the final dot), `idle` when
/// nothing was asked.
///
/// Only the code decides, never the text (RFC 5321 section 4.2): an enhanced code whose class
/// contradicts it, which RFC 2034 section 4 forbids, is kept as data. Of the code only the first
/// digit counts (section 4.3.2), but for:
/// - 421 at any moment ends the session (section 3.8);
/// - 452, and 552 as RFC 821 servers say it, to a RCPT after others were accepted is "too many
///   recipients" (section 4.5.3.1.10), unless its enhanced code speaks of something else (X.2.2
///   mailbox full, X.3.1 system full); any refusal with X.5.3 is, too (RFC 3463 section 3.6: the
///   message is segmented).
Ruling rule(Stage awaited, const Reply& reply, bool recipients_accepted);

/// The ruling on a reply as a verdict on who is concerned. Views into `reply`.
Verdict verdict_of(const Ruling& ruling, Stage awaited, const Reply& reply);

}  // namespace sluice::engine::smtp
