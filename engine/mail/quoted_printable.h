#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::mail {

/// RFC 2045 section 6.7 rule 5, without CRLF, with the '=' of a soft line break.
inline constexpr unsigned quoted_printable_line_bytes_max = 76;

/// May `octet` stand for itself? A space at a line's end may not, nor (for SMTP) a dot at its
/// start.
constexpr bool is_quoted_printable_literal(char octet) {
  return octet >= ' ' && octet <= '~' && octet != '=';
}

/// Encodes text as quoted-printable. It starts at the start of a line, and so does what comes
/// behind: where the text does not end in CRLF a soft line break is added, unless `is_last`.
/// Line ends of the text are CRLF. No line of the result begins with a dot.
std::string encode_quoted_printable(std::string_view text, bool is_last);

/// Decoded text, and which line of the encoded form each piece of it came from.
struct DecodedText {
  std::string text;
  struct Line {
    size_t offset;  // in `text`
    unsigned line;  // of the encoded form, from 0
  };
  std::vector<Line> lines;  // ascending
};

/// Decodes leniently, as readers do (RFC 2045 section 6.7): what is no code stays as it is.
DecodedText decode_quoted_printable(std::string_view encoded);

/// Value of a hexadecimal digit of either case, or -1.
int hexadecimal_digit(char c);

}  // namespace sluice::engine::mail
