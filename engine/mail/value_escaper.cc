#include "engine/mail/value_escaper.h"

#include <array>

#include "engine/mail/quoted_printable.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

// Input octets a piece: an entity in quoted-printable is at most 6 octets, a soft break 3.
constexpr size_t piece_value_bytes = 256;
static_assert(piece_value_bytes * 9 + 8 < ValueEscaper::piece_bytes_max);

constexpr std::string_view entity(char octet) {
  switch (octet) {
    case '&':  return "&amp;";
    case '<':  return "&lt;";
    case '>':  return "&gt;";
    case '"':  return "&quot;";
    case '\'': return "&#39;";
    default:   return {};
  }
}

// Octets that stop a plain copy: line ends, NUL, dots (they may begin a line), and what is an
// entity.
constexpr auto is_special = [] {
  std::array<bool, 256> table{};
  for (const unsigned char octet : {'\r', '\n', '\0', '.', '&', '<', '>', '"', '\''}) {
    table[octet] = true;
  }
  return table;
}();

constexpr bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

constexpr std::array<bool, 256> set_of(std::string_view others) {
  std::array<bool, 256> table{};
  for (unsigned i = 0; i < 128; ++i) table[i] = is_alphanumeric(static_cast<char>(i));
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr auto unreserved = set_of("-._~");
constexpr auto of_urls = set_of("-._~:/?#[]@!$&'()*+,;=%");
constexpr auto of_atoms = set_of("!#$%&'*+-/?^_`{|}~");  // without '=', which escapes
constexpr auto of_identifiers = set_of("!#$%&'*+-/?^_`{|}~@<>");

void put_escaped(std::string& out, char mark, char octet) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto value = static_cast<unsigned char>(octet);
  out += {mark, digits[value >> 4], digits[value & 15]};
}

}  // namespace

void ValueEscaper::begin(std::string_view value, Escape escape) {
  CHECK(is_body_escape(escape) && escape != Escape::wire);
  rest_ = value;
  escape_ = escape;
  column_ = 0;
}

void ValueEscaper::next(std::string& out, bool at_line_start) {
  if (escape_ == Escape::qp_text || escape_ == Escape::qp_html) {
    next_quoted_printable(out);
  } else {
    next_text(out, at_line_start);
  }
}

void ValueEscaper::next_text(std::string& out, bool at_line_start) {
  const auto piece = rest_.substr(0, piece_value_bytes);
  size_t at = 0;
  while (at < piece.size()) {
    const char octet = piece[at];
    if (!is_special[static_cast<unsigned char>(octet)]) {
      size_t end = at + 1;
      while (end < piece.size() && !is_special[static_cast<unsigned char>(piece[end])]) ++end;
      out.append(piece, at, end - at);
      at = end;
      at_line_start = false;
      continue;
    }
    ++at;
    if (octet == '\0') continue;  // RFC 5321 section 4.5.2 has no way to send one
    if (octet == '\r' || octet == '\n') {
      // Looks into the rest, not into the piece: CRLF may lie across its end.
      if (octet == '\r' && at < rest_.size() && rest_[at] == '\n') ++at;
      out += "\r\n";
      at_line_start = true;
      continue;
    }
    if (octet == '.' && at_line_start) out.push_back('.');
    at_line_start = false;
    const auto text = escape_ == Escape::html ? entity(octet) : std::string_view();
    if (text.empty()) {
      out.push_back(octet);
    } else {
      out += text;
    }
  }
  rest_.remove_prefix(at);
}

void ValueEscaper::put_quoted_printable(std::string& out, char octet, bool ends_line) {
  // A dot at a line's start would need stuffing; a dash could begin a MIME boundary.
  const bool literal = is_quoted_printable_literal(octet) && !(ends_line && octet == ' ') &&
                       !(column_ == 0 && (octet == '.' || octet == '-'));
  const auto width = static_cast<uint8_t>(literal ? 1 : 3);
  if (column_ + width > quoted_printable_line_bytes_max - 1) {
    out += "=\r\n";
    column_ = 0;
    // The soft break may have made a dot the first of its line.
    return put_quoted_printable(out, octet, ends_line);
  }
  if (literal) {
    out.push_back(octet);
  } else {
    put_escaped(out, '=', octet);
  }
  column_ = static_cast<uint8_t>(column_ + width);
}

void ValueEscaper::next_quoted_printable(std::string& out) {
  const size_t end = std::min(rest_.size(), piece_value_bytes);
  size_t at = 0;
  while (at < end) {
    const char octet = rest_[at++];
    if (octet == '\0') continue;
    if (octet == '\r' || octet == '\n') {
      if (octet == '\r' && at < rest_.size() && rest_[at] == '\n') ++at;
      out += "\r\n";
      column_ = 0;
      continue;
    }
    const auto text = escape_ == Escape::qp_html ? entity(octet) : std::string_view();
    if (text.empty()) {
      const bool ends_line = at < rest_.size() && (rest_[at] == '\r' || rest_[at] == '\n');
      put_quoted_printable(out, octet, ends_line);
    }
    for (const char c : text) put_quoted_printable(out, c, false);
  }
  rest_.remove_prefix(at);
  // What follows a slot begins a line, so that its encoding does not depend on the value.
  if (rest_.empty() && column_ > 0) out += "=\r\n";
}

void escape_into(std::string& out, std::string_view value, Escape escape) {
  const auto put = [&](const std::array<bool, 256>& allowed, char mark) {
    for (const char c : value) {
      if (allowed[static_cast<unsigned char>(c)]) {
        out.push_back(c);
      } else {
        put_escaped(out, mark, c);
      }
    }
  };
  switch (escape) {
    case Escape::none:       out += value; return;
    case Escape::url:        put(unreserved, '%'); return;
    case Escape::url_whole:  put(of_urls, '%'); return;
    case Escape::local_part:
    case Escape::identifier: {
      const auto& allowed = escape == Escape::local_part ? of_atoms : of_identifiers;
      const auto is_allowed = [&](size_t at) {
        return at < value.size() && allowed[static_cast<unsigned char>(value[at])];
      };
      for (size_t i = 0; i < value.size(); ++i) {
        // A dot stands only between atoms (RFC 5322 section 3.2.3).
        const bool dot = value[i] == '.' && i > 0 && is_allowed(i - 1) && is_allowed(i + 1);
        if (dot || is_allowed(i)) {
          out.push_back(value[i]);
        } else {
          put_escaped(out, '=', value[i]);
        }
      }
      return;
    }
    default: CHECK(!is_body_escape(escape));
  }
}

size_t escaped_bytes(std::string_view value, Escape escape) {
  if (escape == Escape::wire) return value.size();
  const bool html = escape == Escape::html || escape == Escape::qp_html;
  const bool quoted_printable = escape == Escape::qp_text || escape == Escape::qp_html;
  size_t bytes = 0;
  for (const char c : value) {
    const size_t width = html && !entity(c).empty() ? entity(c).size() : 1;
    if (quoted_printable) {
      // A line end may make codes of the blank before it and of the dot behind.
      const bool ends_line = c == '\n' || c == '\r';
      bytes += ends_line ? 6 : is_quoted_printable_literal(c) ? width : 3;
    } else {
      bytes += width + (c == '\n' || c == '\r' || c == '.');
    }
  }
  if (quoted_printable && bytes > 0) {
    bytes += 4 + 3 * (1 + bytes / (quoted_printable_line_bytes_max - 3));
  }
  return bytes;
}

}  // namespace sluice::engine::mail
