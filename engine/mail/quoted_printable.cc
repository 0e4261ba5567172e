#include "engine/mail/quoted_printable.h"

namespace sluice::engine::mail {

std::string encode_quoted_printable(std::string_view text, bool is_last) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  unsigned column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char octet = text[i];
    if (octet == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      out += "\r\n";
      column = 0;
      ++i;
      continue;
    }
    const bool ends_line =
        i + 1 == text.size() ? is_last : text[i + 1] == '\r' || text[i + 1] == '\n';
    const bool blank = octet == ' ' || octet == '\t';
    const bool literal = (is_quoted_printable_literal(octet) || blank) && !(blank && ends_line);
    const unsigned width = literal ? 1 : 3;
    if (column + width > quoted_printable_line_bytes_max - 1) {
      out += "=\r\n";
      column = 0;
    }
    // "From " at the start of a line is mangled by some that store mail.
    const bool from = column == 0 && text.substr(i, 5) == "From ";
    if (literal && !from && !(column == 0 && octet == '.')) {
      out.push_back(octet);
      column += 1;
    } else {
      const auto value = static_cast<unsigned char>(octet);
      out += {'=', digits[value >> 4], digits[value & 15]};
      column += 3;
    }
  }
  if (column > 0 && !is_last) out += "=\r\n";
  return out;
}

int hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

DecodedText decode_quoted_printable(std::string_view encoded) {
  DecodedText decoded;
  auto& text = decoded.text;
  text.reserve(encoded.size());
  for (unsigned line = 0; !encoded.empty(); ++line) {
    decoded.lines.push_back({text.size(), line});
    const size_t end = encoded.find("\r\n");
    auto rest = encoded.substr(0, end);
    encoded.remove_prefix(end == encoded.npos ? encoded.size() : end + 2);
    // Blanks at a line's end were added on the way (rule 3).
    while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) rest.remove_suffix(1);
    const bool soft = rest.ends_with('=');
    if (soft) rest.remove_suffix(1);
    for (size_t i = 0; i < rest.size(); ++i) {
      if (rest[i] == '=' && i + 2 < rest.size() && hexadecimal_digit(rest[i + 1]) >= 0 &&
          hexadecimal_digit(rest[i + 2]) >= 0) {
        text.push_back(static_cast<char>(hexadecimal_digit(rest[i + 1]) * 16 +
                                         hexadecimal_digit(rest[i + 2])));
        i += 2;
      } else {
        text.push_back(rest[i]);
      }
    }
    if (!soft && end != encoded.npos) text += "\r\n";
  }
  return decoded;
}

}  // namespace sluice::engine::mail
