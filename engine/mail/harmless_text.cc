#include "engine/mail/harmless_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "engine/mail/charset.h"
#include "engine/report/utf8.h"

namespace sluice::engine::mail {
namespace {

constexpr size_t line_bytes_wanted = 76;
constexpr size_t word_bytes_max = 900;  // with its indent well within a mail's line

/// The first word of `text` with the blanks before it, or as much of it as fits a line.
std::string_view next_word(std::string_view text) {
  const size_t blanks = std::min(text.find_first_not_of(' '), text.size());
  const size_t end = std::min(text.find(' ', blanks), text.size());
  if (end <= word_bytes_max) return text.substr(0, end);
  size_t cut = word_bytes_max;
  while (cut > 1 && (text[cut] & 0xc0) == 0x80) --cut;  // not within a UTF-8 character
  return text.substr(0, cut);
}

}  // namespace

void append_harmless(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c >= ' ' && c <= '~')
      out.push_back(c);
    else if (c == '\t')
      out.push_back(' ');
    else
      fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<unsigned char>(c));
  }
}

std::string harmless(std::string_view text) {
  std::string out;
  append_harmless(out, text);
  return out;
}

void append_typed_address(std::string& out, std::string_view address, bool with_utf8) {
  if (is_ascii(address) || !is_utf8(address)) {
    out += "rfc822; ";
    return append_harmless(out, address);
  }
  out += "utf-8; ";
  while (!address.empty()) {
    const report::Utf8Character character = report::read_utf8(address);
    // RFC 6533 section 3: QCHAR.
    const bool is_literal =
        character.code > ' ' && character.code <= '~' &&
        std::string_view("+=\\").find(address.front()) == std::string_view::npos;
    const bool is_utf8_literal =
        with_utf8 && (is_literal || (character.code > 0x7f && !report::is_control(character.code)));
    if (is_literal || is_utf8_literal)
      out += address.substr(0, character.bytes);
    else
      fmt::format_to(std::back_inserter(out), "\\x{{{:02X}}}",
                     static_cast<uint32_t>(character.code));
    address.remove_prefix(character.bytes);
  }
}

void append_wrapped(std::string& out, std::string_view text, std::string_view indent) {
  size_t column = 0;
  while (!text.empty()) {
    std::string_view word = next_word(text);
    text.remove_prefix(word.size());
    if (column > 0 && column + word.size() > line_bytes_wanted) {
      out += "\r\n";
      column = 0;
    }
    if (column == 0) {
      word.remove_prefix(std::min(word.find_first_not_of(' '), word.size()));
      if (word.empty()) continue;
      out += indent;
      column = indent.size();
    }
    out += word;
    column += word.size();
  }
  if (column > 0) out += "\r\n";
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ':';
  size_t column = name.size() + 1;
  while (!value.empty()) {
    const size_t line_end = std::min(value.find('\n'), value.size());
    std::string_view line = value.substr(0, line_end);
    value.remove_prefix(std::min(line_end + 1, value.size()));
    bool begins_line = true;  // of the value: a blank of ours stands before it
    while (!line.empty()) {
      const std::string_view word = next_word(line);
      line.remove_prefix(word.size());
      if (word.find_first_not_of(' ') == word.npos) break;  // a line of blanks would end the fold
      const bool needs_blank = begins_line || word.front() != ' ';
      const bool is_first = column == name.size() + 1;
      if (!is_first && (begins_line || column + word.size() > line_bytes_wanted)) {
        out += "\r\n";
        column = 0;
      }
      if (needs_blank) {
        out += ' ';
        ++column;
      }
      out += word;
      column += word.size();
      begins_line = false;
    }
  }
  out += "\r\n";
}

}  // namespace sluice::engine::mail
