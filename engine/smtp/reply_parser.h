#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/smtp/verdict.h"

namespace sluice::engine::smtp {

/// A whole reply (RFC 5321 section 4.2).
struct Reply {
  static constexpr size_t code_bytes = 4;  // "250 " or "250-" before each line's text

  uint16_t code = 0;  // 200 to 599
  std::string_view
      text;  // all lines, codes included, joined by '\n'; any octet but LF may be in it

  /// The code of RFC 3463 that the first line begins with, if it does. Its class is data, and may
  /// contradict `code`.
  EnhancedCode enhanced() const;
};

/// Cuts what the peer sends into replies, wherever it was split. Lines end in CRLF; a bare LF does
/// too. NUL, bare CR and other control octets are data.
///
/// Memory: a reply of one line that lies whole in the octets given is viewed in place, nothing is
/// kept. Only a reply cut in two and one of several lines are gathered in a buffer, allocated then,
/// at most reply_bytes_max and a line, and freed at the first call after the reply was taken.
class ReplyParser {
 public:
  static constexpr size_t reply_line_bytes_max =
      2048;  // without its CRLF; RFC 5321 section 4.5.3.1.5 asks for 512
  static constexpr size_t reply_bytes_max = 8192;  // of Reply::text
  static constexpr unsigned reply_lines_max = 128;

  enum class Step : uint8_t { need_more, reply, garbage };

  /// Takes octets from the front of `octets` up to the end of the next reply. `need_more`: all were
  /// taken. `reply`: `out` is it, valid until the next call or while the octets are. `garbage`:
  /// out.text is the line that is no reply, or its beginning, and reason() says why; the parser
  /// must not be used further.
  Step next(std::string_view& octets, Reply& out);

  std::string_view reason() const { return reason_; }

  /// Is a buffer held?
  bool holds_memory() const { return buffer_ != nullptr; }
  /// Forgets everything, as if newly made.
  void release();

 private:
  Step take_line(std::string_view line, Reply& out);
  Step garbage(std::string_view line, std::string_view reason, Reply& out);
  void append(std::string_view octets);

  std::unique_ptr<char[]> buffer_;
  std::string_view reason_;
  uint16_t capacity_ = 0;
  uint16_t size_ =
      0;  // octets in buffer_: whole lines, each with '\n', then the raw beginning of the next
  uint16_t line_start_ = 0;  // where that beginning lies
  uint16_t code_ = 0;        // of the lines before; 0: none
  uint8_t lines_ = 0;
  bool is_taken_ = false;  // the buffer was handed out as a reply
};

}  // namespace sluice::engine::smtp
