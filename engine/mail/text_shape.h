#pragma once

#include <cstddef>
#include <vector>

#include "engine/mail/columns.h"
#include "engine/mail/mustache.h"

namespace sluice::engine::mail {

/// What a text with tags can become, whatever the recipient, as far as the list's statistics tell.
struct TextShape {
  bool is_known = true;       // false: there are no statistics
  size_t line_bytes_max = 0;  // no merged line is longer
  bool has_8bit_values = false;
  bool may_hold_boundary = false;  // a value could be taken for a boundary line of the multipart
};

/// `boundary_bytes_min`: of the multiparts around the text, 0 for none. Unknown columns are passed
/// over.
TextShape measure_text(const std::vector<MustacheToken>& tokens, const Columns& columns,
                       bool is_html, size_t boundary_bytes_min);

}  // namespace sluice::engine::mail
