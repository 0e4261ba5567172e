#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// Plays a dialogue, one step a line, and returns what went otherwise ("" for nothing):
///
///   S: 250 ok             the server says so (consecutive lines in one piece)
///   C: MAIL FROM:<a@b.example>   the client has said this, next
///   E: 0 ended            this was told to the listener, next; `... | 550 no` checks the reply's
///   text as well, `\n` between its lines O: a@b.example -> x@y.example z@y.example ; size=9 8bit
///   utf8 requiretls body=words notify=success,delay ret=full envid=QQ
///                         a transaction for the client, as soon as it wants one; the body is a
///                         line ("hello" if not given)
///   L: demanded login     before all else: how the session is opened; with a login as
///                         user/pencil; `if-offered` and `demanded` speak of TLS
///   T: started            the handshake that is awaited went well
///   T: authenticated      likewise, and proved who the server is
///   Q: quit   F: reason   quit() and fail()
///   G: mail               stage() is this
///
/// Before the server speaks, and in the end, the client must have said all of the above and nothing
/// more: a window too wide fails here. Lines may be indented.
///
/// It is played whole; at each place where the server's octets can be cut in two; and an octet at a
/// time; with produce() buffers of several sizes. `may_answer_between_pieces`: produce() is also
/// called between the pieces; not for servers that speak out of turn, with whom it matters what was
/// said when.
std::string play(std::string_view script, bool may_answer_between_pieces = true);

}  // namespace sluice::engine::smtp
