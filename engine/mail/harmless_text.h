#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::mail {

/// Appends `text`, of a peer, as printable ASCII: a tab as a space, other octets as \xE9. Nothing
/// of it can end a line, move a terminal's cursor or be 8-bit.
void append_harmless(std::string& out, std::string_view text);
std::string harmless(std::string_view text);

/// Appends the address-type, `;` and address of a delivery status (RFC 3464 section 2.1.2):
/// `rfc822; ann@a.example`, or for one that is not ASCII `utf-8; ...` (RFC 6533 section 3): as it
/// is with `with_utf8`, else with \x{E9} for what is not ASCII.
void append_typed_address(std::string& out, std::string_view address, bool with_utf8);

/// Appends `text`, one paragraph of ASCII or UTF-8 without line ends, in CRLF lines of about 76
/// octets broken at blanks, each after `indent`. Words longer than a mail's line may be are cut.
void append_wrapped(std::string& out, std::string_view text, std::string_view indent);

/// Appends the header field `name: value`, folded at blanks (RFC 5322 section 2.2.3): unfolding
/// gives the value back. LFs of `value` are folds too. It is ASCII, or UTF-8, without other
/// controls.
void append_field(std::string& out, std::string_view name, std::string_view value);

}  // namespace sluice::engine::mail
