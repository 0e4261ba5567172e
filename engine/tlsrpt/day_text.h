#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/tlsrpt/day_count.h"

namespace sluice::engine::tlsrpt {

/// Appends an element of a report's `policies` (RFC 8460 section 4.4).
void append_policy(std::string& out, const Policy& policy, const PolicyCount& count);

/// Appends an object with an object for each domain: spool/FORMAT.md section 10.
void append_domains(std::string& out, const DayCount& day);

/// A day's counts as JSON (spool/FORMAT.md section 10), and back; null when it is none.
std::string text_of(const DayCount& day);
std::optional<DayCount> parse_day(std::string_view text);

/// "2026-11-23", and back.
std::string date_text(Day day);
std::optional<Day> parse_date(std::string_view text);

}  // namespace sluice::engine::tlsrpt
