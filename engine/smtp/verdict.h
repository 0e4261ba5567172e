#pragma once

#include <cstdint>
#include <string_view>

#include "engine/smtp/stage.h"

namespace sluice::engine::smtp {

/// How far a failure reaches: what else must not be tried the same way.
enum class Scope : uint8_t { recipient, message, session, host };

/// `unknown`: the final dot left and its reply was not read (RFC 5321 section 4.5.3.2.6, RFC 1047).
/// The message may have been delivered.
enum class Result : uint8_t { success, transient, permanent, unknown };

/// RFC 3463: class.subject.detail; all 0 when the reply had none.
struct EnhancedCode {
  uint8_t status = 0;
  uint16_t subject = 0, detail = 0;
  explicit operator bool() const { return status != 0; }
};

/// What an attempt came to for one recipient, or for a session. The peer's words are data here,
/// never an error of our functions.
struct Verdict {
  Result result = Result::success;
  Scope scope = Scope::recipient;
  Stage stage = Stage::connect;
  uint16_t code = 0;        // the reply's, 0 when there was none
  EnhancedCode enhanced;    // the reply's; or ours when code is 0 and the refusal is our own
                            // (5.3.4, 5.6.3, 5.6.7)
  std::string_view text;    // the whole reply, lines joined by '\n', codes included; valid
                            // during the callback
  std::string_view reason;  // our words where no reply exists: "timed out", "connection closed by
                            // peer", "server does not offer SMTPUTF8"
};

}  // namespace sluice::engine::smtp
