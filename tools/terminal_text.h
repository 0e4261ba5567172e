#pragma once

#include <string>
#include <string_view>

namespace sluice::tools {

/// `text` as a terminal may see it: controls, octets that are no UTF-8 and characters that turn the
/// direction of writing become visible escapes
/// (`\x1b`, `\u202e`); line breaks become ` / `.
std::string terminal_text(std::string_view text);

/// Columns that terminal_text() takes: two for wide characters, none for combining marks.
size_t terminal_width(std::string_view text);

/// `text` in exactly `columns`: filled up with spaces, or cut, with an ellipsis at the end.
std::string fitted(std::string_view text, size_t columns);

}  // namespace sluice::tools
