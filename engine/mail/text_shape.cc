#include "engine/mail/text_shape.h"

#include <algorithm>

#include "engine/mail/wire_line.h"

namespace sluice::engine::mail {
namespace {

constexpr size_t html_growth_max = 6;  // &quot;

// The line under way: the longest it can be, and whether it can be empty yet.
struct Line {
  size_t bytes_max = 0;
  bool may_be_empty = true;
};

}  // namespace

TextShape measure_text(const std::vector<MustacheToken>& tokens, const Columns& columns,
                       bool is_html, size_t boundary_bytes_min) {
  TextShape shape;
  Line line;
  std::vector<Line> without_section;
  for (const auto& token : tokens) {
    switch (token.kind) {
      case MustacheToken::Kind::text: {
        const size_t first = token.text.find("\r\n");
        const auto head = token.text.substr(0, first);
        line.bytes_max += head.size();
        line.may_be_empty = line.may_be_empty && head.empty();
        if (first == token.text.npos) break;
        const auto last = token.text.substr(token.text.rfind('\n') + 1);
        shape.line_bytes_max = std::max(
            {shape.line_bytes_max, line.bytes_max, line_bytes_max(token.text.substr(first + 2))});
        line = {last.size(), last.empty()};
        break;
      }
      case MustacheToken::Kind::variable: {
        const auto column = columns.find(token.text);
        if (!column || !columns.has_statistics()) {
          shape.is_known = false;
          break;
        }
        const auto& statistics = columns.statistics(*column);
        line.bytes_max +=
            statistics.bytes_max * (is_html && token.is_escaped ? html_growth_max : 1);
        shape.has_8bit_values = shape.has_8bit_values || statistics.has_8bit;
        const bool begins_line = line.may_be_empty || statistics.has_newline;
        if (boundary_bytes_min > 0 && begins_line && line.bytes_max >= boundary_bytes_min + 2)
          shape.may_hold_boundary = true;
        line.may_be_empty = begins_line;
        break;
      }
      case MustacheToken::Kind::section:
      case MustacheToken::Kind::inverted: without_section.push_back(line); break;
      case MustacheToken::Kind::close:
        if (without_section.empty()) break;
        line.bytes_max = std::max(line.bytes_max, without_section.back().bytes_max);
        line.may_be_empty = line.may_be_empty || without_section.back().may_be_empty;
        without_section.pop_back();
        break;
    }
  }
  shape.line_bytes_max = std::max(shape.line_bytes_max, line.bytes_max);
  return shape;
}

}  // namespace sluice::engine::mail
