#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::engine {

/// How long a message may wait before it is given up: the classes of X.400 (RFC 2156
/// section 5.3.6), which have an expiry each.
enum class Priority : uint8_t { normal, urgent, non_urgent };
inline constexpr uint8_t priority_count = 3;

/// As `--priority` and the header field Priority write it.
std::string_view name(Priority priority);
/// `urgent`, `normal` or `non-urgent`, in either case.
std::optional<Priority> parse_priority(std::string_view text);

/// What the header of `message` (lines end in LF or CRLF; reading stops at the empty line) asks
/// for. The first of these that says something decides:
///   Priority: urgent | normal | non-urgent     RFC 2156 section 5.3.6
///   Importance: high | normal | low            RFC 2156 section 5.3.4; widely used for the above
///   X-Priority: 1 to 5                          1 and 2 are urgent, 4 and 5 non-urgent
/// Nothing said, or nothing known: normal.
Priority priority_of(std::string_view message);

}  // namespace sluice::engine
