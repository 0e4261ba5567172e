#pragma once

#include <string>
#include <string_view>

#include "engine/report/log_record.h"

namespace sluice::tools {

/// Columns that people's output fits into.
inline constexpr size_t log_columns = 100;

/// The head of the table and its rows, one a record; times are UTC. Safe for a terminal.
std::string log_table_head();
std::string log_table_row(const engine::report::LogRecord& record);

/// `2026-11-22 05:27:44` of a line's time.
std::string log_clock(std::string_view time);
/// A line of a table: without the spaces at its end, which only make terminals wrap.
std::string log_line(std::string_view text);

/// What an attempt came to in one line: the reply with its codes, or our words where there was
/// none.
std::string log_outcome(const engine::report::LogRecord& record);

}  // namespace sluice::tools
