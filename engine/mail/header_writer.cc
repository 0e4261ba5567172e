#include "engine/mail/header_writer.h"

#include <algorithm>
#include <array>

#include "engine/mail/encoded_word.h"

namespace sluice::engine::mail {
namespace {

constexpr size_t line_bytes_wanted = 78;  // RFC 5322 section 2.1.1
constexpr size_t word_bytes_max = 900;    // longer ones have no place to fold: encoded, or cut
constexpr size_t blanks_bytes_max = 60;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_control(char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; }
bool is_8bit(char c) { return (c & 0x80) != 0; }

// RFC 5322 section 3.2.3.
constexpr auto is_atom = [] {
  std::array<bool, 256> table{};
  for (unsigned c = '!'; c <= '~'; ++c) {
    table[c] =
        std::string_view("()<>[]:;@\\,.\"").find(static_cast<char>(c)) == std::string_view::npos;
  }
  return table;
}();

size_t blanks_end(std::string_view text, size_t at) {
  while (at < text.size() && is_blank(text[at])) ++at;
  return at;
}
size_t word_end(std::string_view text, size_t at) {
  while (at < text.size() && !is_blank(text[at])) ++at;
  return at;
}

bool must_be_encoded(std::string_view word) {
  // "=?" would be taken for an encoded-word.
  return word.size() > word_bytes_max || word.find("=?") != word.npos ||
         std::ranges::any_of(word, is_8bit);
}

bool has_long_blanks(std::string_view text) {
  for (size_t at = 0; at < text.size(); at = word_end(text, at)) {
    const size_t end = blanks_end(text, at);
    if (end - at > blanks_bytes_max) return true;
    at = end;
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// What an address may be made of outside a quoted local part. A value that holds more would be
// another header's syntax.
bool is_of_address(char c) {
  return is_atom[static_cast<unsigned char>(c)] || is_8bit(c) || c == '.' || c == '@' || c == '[' ||
         c == ']' || c == ':';
}

// End of the quoted-string that `text` begins with, 0 when there is none.
size_t quoted_end(std::string_view text) {
  if (!text.starts_with('"')) return 0;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      return i + 1;
  }
  return 0;
}

std::string unquoted(std::string_view quoted) {
  std::string text;
  for (size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] == '\\') ++i;
    text.push_back(quoted[i]);
  }
  return text;
}

}  // namespace

HeaderWriter::HeaderWriter(std::string& out, size_t begin)
    : out_(out), column_(out.size() - begin) {}

void HeaderWriter::put_comma() {
  if (!comma_) return;
  out_.push_back(',');
  ++column_;
  comma_ = false;
}

void HeaderWriter::separate(size_t bytes) {
  put_comma();
  // Not right behind the name: a first line of nothing but the name reads badly.
  const bool fold = !is_empty_ && column_ + 1 + bytes > line_bytes_wanted;
  if (fold) {
    out_ += "\r\n";
    column_ = 0;
  }
  out_.push_back(' ');
  ++column_;
  is_empty_ = false;
}

void HeaderWriter::element(std::string& text, Layout layout) {
  if (layout == Layout::comma) {
    comma_ = !is_empty_;
    return;
  }
  if (std::ranges::any_of(text, is_control)) std::erase_if(text, is_control);
  const auto content = trimmed(text);
  if (content.empty()) return;
  switch (layout) {
    case Layout::unstructured: unstructured(content); break;
    case Layout::phrase:       phrase(content); break;
    case Layout::angle:        address(content, true); break;
    case Layout::mailbox:      address(content, false); break;
    case Layout::token:
    case Layout::comma:        token(content); break;
  }
}

void HeaderWriter::finish() { out_ += "\r\n"; }

void HeaderWriter::unstructured(std::string_view text) {
  const bool encode_all = has_long_blanks(text);
  if (!encode_all && column_ + 1 + text.size() <= line_bytes_wanted && !must_be_encoded(text)) {
    separate(text.size());
    out_ += text;
    column_ += text.size();
    return;
  }
  if (encode_all) {
    encode_words(out_, column_, " ", text, EncodedWordPlace::text);
    is_empty_ = false;
    return;
  }
  words(text);
}

void HeaderWriter::words(std::string_view text) {
  std::string_view blanks = " ";
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    at = word_end(text, at);
    if (!must_be_encoded(text.substr(begin, at - begin))) {
      const bool fold = !is_empty_ && column_ + blanks.size() + at - begin > line_bytes_wanted;
      if (fold) {
        out_ += "\r\n";
        column_ = 0;
      }
      out_ += blanks;
      out_.append(text, begin, at - begin);
      column_ += blanks.size() + at - begin;
    } else {
      // A run: what is between two encoded-words is not seen by readers, so it is encoded with
      // them.
      for (size_t next = blanks_end(text, at); next < text.size(); next = blanks_end(text, at)) {
        const size_t end = word_end(text, next);
        if (!must_be_encoded(text.substr(next, end - next))) break;
        at = end;
      }
      encode_words(out_, column_, blanks, text.substr(begin, at - begin), EncodedWordPlace::text);
    }
    is_empty_ = false;
    const size_t end = blanks_end(text, at);
    blanks = text.substr(at, end - at);
    at = end;
  }
}

void HeaderWriter::phrase(std::string_view text) {
  const auto of_atoms = [](char c) { return is_atom[static_cast<unsigned char>(c)] || c == ' '; };
  size_t longest = 0;
  for (size_t at = 0; at < text.size(); at = blanks_end(text, word_end(text, at))) {
    longest = std::max(longest, word_end(text, at) - at);
  }
  const bool encode = longest > word_bytes_max / 2 || text.find("=?") != text.npos ||
                      has_long_blanks(text) ||
                      std::ranges::any_of(text, [](char c) { return is_8bit(c) || c == '\t'; });
  if (encode) {
    put_comma();
    encode_words(out_, column_, " ", text, EncodedWordPlace::phrase);
    is_empty_ = false;
    return;
  }
  // Blanks between atoms are not part of a phrase: two of them stay only within quotes.
  const bool quote = !std::ranges::all_of(text, of_atoms) || text.find("  ") != text.npos;
  separate(text.size() + (quote ? 2 : 0));
  if (quote) {
    out_.push_back('"');
    ++column_;
  }
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == ' ' && column_ + word_end(text, at + 1) - at > line_bytes_wanted) {
      out_ += "\r\n";
      column_ = 0;
    }
    if (text[at] == '"' || text[at] == '\\') {
      out_.push_back('\\');
      ++column_;
    }
    out_.push_back(text[at]);
    ++column_;
  }
  if (quote) {
    out_.push_back('"');
    ++column_;
  }
}

void HeaderWriter::address(std::string_view text, bool angle) {
  if (const size_t open = text.rfind('<'); !angle && open != text.npos && text.ends_with('>')) {
    auto name = trimmed(text.substr(0, open));
    if (!name.empty()) phrase(quoted_end(name) == name.size() ? unquoted(name) : std::string(name));
    return address(trimmed(text.substr(open + 1, text.size() - open - 2)), true);
  }
  if (text.empty() || text.size() > word_bytes_max) return;
  separate(text.size() + (angle ? 2 : 0));
  const size_t begin = out_.size();
  if (angle) out_.push_back('<');
  const size_t quoted = quoted_end(text);
  out_ += text.substr(0, quoted);
  for (const char c : text.substr(quoted)) {
    if (is_of_address(c)) out_.push_back(c);
  }
  if (angle) out_.push_back('>');
  column_ += out_.size() - begin;
}

void HeaderWriter::token(std::string_view text) {
  separate(text.size());
  while (text.size() > word_bytes_max) {
    out_.append(text, 0, word_bytes_max);
    // The only way to send it. In a URL of a List- header readers skip the blank (RFC 2369 section
    // 2).
    out_ += "\r\n ";
    column_ = 1;
    text.remove_prefix(word_bytes_max);
  }
  out_ += text;
  column_ += text.size();
}

}  // namespace sluice::engine::mail
