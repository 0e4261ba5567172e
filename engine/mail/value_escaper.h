#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::engine::mail {

/// How a slot writes its value. The first four and `wire` are for bodies and are streamed; the
/// others are for pieces of header fields and of the sender.
enum class Escape : uint8_t {
  text,        // as it is; line ends become CRLF, dots at line starts are stuffed
  html,        // & < > " ' as entities, then as text
  qp_text,     // quoted-printable, with a soft line break behind it
  qp_html,     // entities, then as qp_text
  none,        // as it is: the element around it escapes
  url,         // percent-encoded, all but the unreserved of RFC 3986 section 2.3
  url_whole,   // the value is a URL: only what no URL may hold is percent-encoded
  local_part,  // dot-atom of RFC 5322 section 3.2.3; other octets as =XX
  identifier,  // as local_part, but @ < > stay
  wire,  // octet for octet: the value is whole lines in wire form, by the word of who wrote it
};
inline constexpr uint8_t escape_count = 10;
constexpr bool is_body_escape(Escape escape) {
  return escape <= Escape::qp_html || escape == Escape::wire;
}

/// Escapes a value for a body, piece by piece, so that a long value needs no long buffer. Not for
/// Escape::wire, which needs nothing done.
class ValueEscaper {
 public:
  /// An upper bound of what next() appends.
  static constexpr size_t piece_bytes_max = 4096;

  /// `value` is borrowed until done().
  void begin(std::string_view value, Escape escape);
  bool is_done() const { return rest_.empty(); }

  /// Appends the next piece. `at_line_start`: does what is appended begin a line of the message?
  void next(std::string& out, bool at_line_start);

 private:
  void next_text(std::string& out, bool at_line_start);
  void next_quoted_printable(std::string& out);
  void put_quoted_printable(std::string& out, char octet, bool ends_line);

  std::string_view rest_;
  Escape escape_ = Escape::text;
  uint8_t column_ = 0;  // of quoted-printable
};

/// Appends `value`, escaped for a piece of a header field or the sender (not a body escape).
void escape_into(std::string& out, std::string_view value, Escape escape);

/// An upper bound, and near it, of the octets that `value` takes when escaped for a body; O(value).
size_t escaped_bytes(std::string_view value, Escape escape);

}  // namespace sluice::engine::mail
