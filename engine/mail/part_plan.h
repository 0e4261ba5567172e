#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/columns.h"
#include "engine/mail/mime_tree.h"
#include "engine/mail/mustache.h"
#include "engine/mail/source_text.h"

namespace sluice::engine::mail {

/// How a part of the message goes on the wire; README.md says why. The tree mirrors that of
/// MimePart.
struct PartPlan {
  enum class Form {
    verbatim,          // the body as it is
    text,              // `tokens`, values as they are
    quoted_printable,  // `tokens`, encoded
    base64,            // `text`, encoded
  };
  Form form = Form::verbatim;
  bool sets_charset = false;       // to UTF-8
  std::string_view sets_encoding;  // the new Content-Transfer-Encoding; "": as it is
  bool has_8bit = false;           // it, or a part of it, puts octets over 127 on the wire
  bool has_8bit_slots = false;

  std::string text;                   // decoded, UTF-8 where it is text, CRLF lines
  std::vector<MustacheToken> tokens;  // of `text`

  std::vector<std::unique_ptr<PartPlan>> parts;
};

std::unique_ptr<PartPlan> plan_part(const MimePart& part, const Columns& columns,
                                    SourceText& source);

}  // namespace sluice::engine::mail
