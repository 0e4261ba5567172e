#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/source_text.h"

namespace sluice::engine::mail {

/// A header field as written; views into the source.
struct HeaderField {
  std::string_view name;
  std::string_view value;  // behind the colon, with its folds, without the last CRLF
  std::string_view raw;    // all of it, with the last CRLF

  bool is(std::string_view other) const;
};

/// What may stand in a field, which decides how it is read and how values are written into it.
enum class FieldKind {
  unstructured,
  address,     // RFC 5322 section 3.6.2 and its like: From, To, List-ID ...
  identifier,  // Message-ID, In-Reply-To, References, Content-ID
  url_list,    // RFC 2369: List-Unsubscribe, List-Help ...
  structure,   // MIME's own: no tags
};
FieldKind kind_of(const HeaderField& field);

/// A header (RFC 5322 section 2.2) and what comes behind the empty line.
struct Header {
  std::vector<HeaderField> fields;
  std::string_view body;
  bool has_border = false;  // the empty line; without it `body` is what is no header line

  const HeaderField* find(std::string_view name) const;
};

/// Where a header stands: only a part's may be empty.
enum class HeaderPlace { message, part };

/// Reads fields, CRLF lines, up to the empty line or what is no field.
Header scan_header(std::string_view text);

/// Reads the header that `text`, of `source`, begins with. Mistakes go to `source`.
Header parse_header(std::string_view text, HeaderPlace place, SourceText& source);

/// `value` without its folds (RFC 5322 section 2.2.3) and without blanks at either end.
std::string unfold(std::string_view value);

/// A MIME field `value; name=value ...` (RFC 2045 section 5.1). Comments are dropped.
struct ParameterizedValue {
  struct Parameter {
    std::string name;   // lower case
    std::string value;  // unquoted
    std::string raw;    // as written, `name="value"`
  };
  std::string value;  // lower case
  std::string raw_value;
  std::vector<Parameter> parameters;

  /// "" when there is none of that name.
  std::string_view parameter(std::string_view name) const;
};
ParameterizedValue parse_parameterized(std::string_view value);

}  // namespace sluice::engine::mail
