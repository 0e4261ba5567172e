#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::mail {

/// A piece of a Mustache text. Views are into the scanned text.
struct MustacheToken {
  enum class Kind { text, variable, section, inverted, close };
  Kind kind = Kind::text;
  bool is_escaped = true;  // variable: not {{{x}}} nor {{&x}}
  std::string_view text;   // the text, or the tag's name
  size_t offset = 0;       // of the text or the tag
};

struct MustacheError {
  size_t offset;
  std::string text;
};

struct MustacheText {
  std::vector<MustacheToken> tokens;  // sections are closed in order, unless there are errors
  std::vector<MustacheError> errors;
};

/// Cuts `text` at its tags, as mustache(5) says: variables, sections, comments, set delimiters
/// (until the end of this text). Partials are an error. With `trim_lines`, a line that holds
/// nothing but one tag that writes nothing vanishes with its line end.
MustacheText scan_mustache(std::string_view text, bool trim_lines);

inline bool has_mustache(std::string_view text) { return text.find("{{") != text.npos; }

}  // namespace sluice::engine::mail
