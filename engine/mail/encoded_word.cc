#include "engine/mail/encoded_word.h"

#include <algorithm>
#include <array>
#include <optional>

#include "engine/mail/base64.h"
#include "engine/mail/charset.h"
#include "engine/mail/quoted_printable.h"

namespace sluice::engine::mail {
namespace {

constexpr size_t line_bytes_max = 76;  // of a line that holds an encoded-word
constexpr std::string_view q_start = "=?utf-8?Q?", b_start = "=?utf-8?B?", word_end = "?=";
constexpr size_t frame_bytes = q_start.size() + word_end.size();

// RFC 2047 section 5 (3) names what may stand for itself in a phrase; elsewhere more would do, but
// little is won.
constexpr auto stands_for_itself = [] {
  std::array<std::array<bool, 256>, 2> tables{};
  for (unsigned c = '!'; c <= '~'; ++c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    tables[0][c] = c != '=' && c != '?' && c != '_' && c != '"';
    tables[1][c] = alphanumeric || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
  }
  return tables;
}();

size_t q_width(char c, EncodedWordPlace place) {
  if (c == ' ') return 1;
  const auto& table = stands_for_itself[static_cast<size_t>(place)];
  return table[static_cast<unsigned char>(c)] ? 1 : 3;
}

size_t q_width(std::string_view text, EncodedWordPlace place) {
  size_t width = 0;
  for (const char c : text) width += q_width(c, place);
  return width;
}

void put_q(std::string& out, std::string_view text, EncodedWordPlace place) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : text) {
    if (c == ' ') {
      out.push_back('_');
    } else if (q_width(c, place) == 1) {
      out.push_back(c);
    } else {
      const auto value = static_cast<unsigned char>(c);
      out += {'=', digits[value >> 4], digits[value & 15]};
    }
  }
}

// How much of `text`, in whole characters, fits into `room` octets of code.
size_t fitting(std::string_view text, size_t room, bool q, EncodedWordPlace place) {
  size_t taken = 0, used = 0;
  while (taken < text.size()) {
    const size_t bytes = utf8_character_bytes(text.substr(taken));
    const size_t width = q ? q_width(text.substr(taken, bytes), place) : 0;
    if (q ? used + width > room : base64_bytes(taken + bytes) > room) break;
    used += width;
    taken += bytes;
  }
  return taken;
}

struct EncodedWord {
  size_t bytes;      // in the value
  std::string text;  // UTF-8
};

std::string decode_q(std::string_view code) {
  std::string text;
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i] == '=' && i + 2 < code.size() && hexadecimal_digit(code[i + 1]) >= 0 &&
        hexadecimal_digit(code[i + 2]) >= 0) {
      text.push_back(
          static_cast<char>(hexadecimal_digit(code[i + 1]) * 16 + hexadecimal_digit(code[i + 2])));
      i += 2;
    } else {
      text.push_back(code[i] == '_' ? ' ' : code[i]);
    }
  }
  return text;
}

// The encoded-word that `value` begins with. Lenient: spaces within Q, as clients that put tags
// into them leave.
std::optional<EncodedWord> decode_word(std::string_view value) {
  if (!value.starts_with("=?")) return {};
  const size_t charset_end = value.find('?', 2);
  if (charset_end == value.npos || charset_end + 2 >= value.size() || value[charset_end + 2] != '?')
    return {};
  const size_t code_begin = charset_end + 3;
  const size_t code_end = value.find(word_end, code_begin);
  if (code_end == value.npos) return {};
  // RFC 2231 section 5: a language may follow the charset.
  auto charset = value.substr(2, charset_end - 2);
  charset = charset.substr(0, charset.find('*'));
  const auto code = value.substr(code_begin, code_end - code_begin);
  const char encoding = value[charset_end + 1];
  std::string octets;
  if (encoding == 'Q' || encoding == 'q') {
    octets = decode_q(code);
  } else if (encoding == 'B' || encoding == 'b') {
    octets = decode_base64(code);
  } else {
    return {};
  }
  auto text = to_utf8(charset, octets);
  if (!text) return {};
  return EncodedWord{code_end + word_end.size(), std::move(*text)};
}

void put_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

size_t utf8_character_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t bytes = first < 0xc2   ? 1
                       : first < 0xe0 ? 2
                       : first < 0xf0 ? 3
                       : first < 0xf5 ? 4
                                      : 1;
  if (bytes > text.size()) return 1;
  for (size_t i = 1; i < bytes; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 1;
  }
  return bytes;
}

void encode_words(std::string& out, size_t& column, std::string_view before, std::string_view text,
                  EncodedWordPlace place) {
  const bool q = q_width(text, place) <= base64_bytes(text.size());
  while (!text.empty()) {
    // Room for one character at least, of 4 octets.
    const size_t used = column + before.size() + frame_bytes;
    size_t taken =
        used + 12 <= line_bytes_max
            ? fitting(text, std::min(line_bytes_max - used, encoded_word_bytes_max - frame_bytes),
                      q, place)
            : 0;
    if (taken == 0) {
      out += "\r\n";
      column = 0;
      taken = fitting(text, encoded_word_bytes_max - frame_bytes, q, place);
    }
    out += before;
    const size_t start = out.size();
    out += q ? q_start : b_start;
    if (q) {
      put_q(out, text.substr(0, taken), place);
    } else {
      append_base64(out, text.substr(0, taken));
    }
    out += word_end;
    column += before.size() + out.size() - start;
    text.remove_prefix(taken);
    before = " ";
  }
}

std::string decode_encoded_words(std::string_view value, bool quote) {
  std::string out, decoded;
  std::string_view blanks;  // since the last encoded-word
  bool after_word = false, in_quotes = false;
  const auto flush = [&] {
    if (after_word && quote) put_quoted(out, decoded);
    if (after_word && !quote) out += decoded;
    decoded.clear();
    after_word = false;
    out += blanks;
    blanks = {};
  };
  while (!value.empty()) {
    if (after_word && is_blank(value.front())) {
      size_t end = 0;
      while (end < value.size() && is_blank(value[end])) ++end;
      blanks = value.substr(0, end);
      value.remove_prefix(end);
      continue;
    }
    // Section 5 (3): what stands within a quoted-string is no encoded-word.
    if (auto word = in_quotes ? std::nullopt : decode_word(value)) {
      // Joined before they become a quoted-string: a character's octets, or a tag, may lie across
      // two.
      if (after_word) blanks = {};
      decoded += word->text;
      after_word = true;
      value.remove_prefix(word->bytes);
      continue;
    }
    flush();
    const size_t bytes = in_quotes && value.front() == '\\' && value.size() > 1 ? 2 : 1;
    if (quote && value.front() == '"') in_quotes = !in_quotes;
    out += value.substr(0, bytes);
    value.remove_prefix(bytes);
  }
  flush();
  return out;
}

}  // namespace sluice::engine::mail
