#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// NOTIFY of a recipient (RFC 3461 section 4.1): an or of these; 0 when it was not given.
using Notify = uint8_t;
inline constexpr Notify notify_never = 1, notify_success = 2, notify_failure = 4, notify_delay = 8,
                        notify_most = 15;

/// `never`, or one or more of `success`, `failure` and `delay` with commas between, in either case.
std::optional<Notify> parse_notify(std::string_view text);
/// The parameter's value (`SUCCESS,FAILURE`); "" for 0.
std::string_view notify_text(Notify notify);

/// RET (RFC 3461 section 4.3): how much of a message its notices return. `unsaid`: the header.
enum class ReturnedContent : uint8_t { unsaid, headers, full };

/// `headers` (or `hdrs`) or `full`, in either case.
std::optional<ReturnedContent> parse_returned_content(std::string_view text);

/// What a submitter wants to hear of a message's delivery (RFC 3461 section 4).
struct DsnRequest {
  Notify notify = 0;
  ReturnedContent returned = ReturnedContent::unsaid;
  std::string_view envelope_id;  // ENVID, xtext undone; "" for none
  /// ORCPT as the submitter gave it, `rfc822;a+2Bb@example.net`; "": each recipient's own address.
  std::string_view original_recipient;
};

/// Printable US-ASCII and no more than 100 octets when it is written (RFC 3461 section 4.4).
bool is_envelope_id(std::string_view text);

/// Writes `text` as xtext (RFC 3461 section 4) into `out`. The octets written; none where a
/// character is not of US-ASCII or `out` is too small.
std::optional<size_t> write_xtext(std::string_view text, std::span<char> out);

/// Printable US-ASCII without blank and `=`, and `+` only before two digits of hex in upper case
/// (RFC 3461 section 4).
bool is_xtext(std::string_view text);
/// Undoes xtext into `out` (replaced), whatever octets that gives. False when it is none.
bool read_xtext(std::string_view text, std::string& out);

}  // namespace sluice::engine::smtp
