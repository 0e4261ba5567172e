#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// Takes `<path>` off the front of `text` and returns what is between the brackets, without a
/// source route (RFC 5321 section 4.1.1.3: ignored). A '>' within quotes does not end it. nullopt
/// when there is none.
std::optional<std::string_view> take_path(std::string_view& text);

struct Mailbox {
  bool is_good = false;
  bool needs_smtputf8 = false;  // the local part has octets over 127 (RFC 6531)
};

/// Checks `text` as a Mailbox (RFC 5321 section 4.1.2) and writes it to `out` (replaced), the
/// domain in A-labels and lower case. More liberal than a recipient list is read: a dot may stand
/// anywhere in a local part (some hosts gave out such addresses), and it may be as long as the
/// client machine can write it (the VERP senders of long recipients are).
Mailbox read_mailbox(std::string_view text, std::string& out);

/// Has octets over 127.
bool is_8bit(std::string_view text);

}  // namespace sluice::engine::smtp
