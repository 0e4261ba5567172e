#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/intake/submission.h"

namespace sluice::engine::http {

/// What a client of POST /v1/messages wants sent: the JSON object of docs/openapi.json, read.
struct MessageOrder {
  intake::SubmissionOptions options;  // all but the message, for which `text` is
  std::string text;                   // RFC 5322; a template unless options.is_literal
  std::string recipients;             // JSON Lines, an object each

  enum class Form : uint8_t {
    document,     // recipients are in its `to`
    stream_head,  // they follow, a line each
  };
  /// All mistakes at once, one line each with its place: `to[3]: ...`.
  static std::expected<MessageOrder, std::vector<std::string>> parse(std::string_view json,
                                                                     Form form);
};

}  // namespace sluice::engine::http
