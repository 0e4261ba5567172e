#include "engine/mail/charset.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/mail/encoded_word.h"

namespace sluice::engine::mail {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; });
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = utf8_character_bytes(text);
    if (bytes == 1 && (text.front() & 0x80) != 0) return false;
    const auto first = static_cast<unsigned char>(text[0]);
    const auto second = static_cast<unsigned char>(bytes > 1 ? text[1] : 0);
    // RFC 3629 section 4: no overlong forms, no surrogates, nothing over U+10FFFF.
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
      return false;
    }
    text.remove_prefix(bytes);
  }
  return true;
}

bool is_utf8_charset(std::string_view charset) {
  for (const std::string_view name : {"", "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968"}) {
    if (equals_ignoring_case(charset, name)) return true;
  }
  return false;
}

std::optional<std::string> to_utf8(std::string_view charset, std::string_view octets) {
  if (is_utf8_charset(charset)) return std::string(octets);
  // Readers take Latin-1 for Windows-1252 (WHATWG Encoding section 4.2): 0x80 to 0x9f are quotes
  // and dashes there.
  const bool latin1 = equals_ignoring_case(charset, "iso-8859-1");
  const std::string name = latin1 ? "windows-1252" : std::string(charset);
  const iconv_t converter = iconv_open("UTF-8", name.c_str());
  if (converter == reinterpret_cast<iconv_t>(-1)) return {};
  std::string out;
  std::array<char, 4096> piece;
  auto* in = const_cast<char*>(octets.data());  // iconv(3) does not write there
  size_t in_bytes = octets.size();
  bool ok = true, flushed = false;
  while (ok && !flushed) {
    char* to = piece.data();
    size_t room = piece.size();
    // The last call, without input, ends a shift state.
    flushed = in_bytes == 0;
    const size_t result = iconv(converter, flushed ? nullptr : &in, &in_bytes, &to, &room);
    ok = result != static_cast<size_t>(-1) || errno == E2BIG;
    if (ok && result == static_cast<size_t>(-1)) flushed = false;
    out.append(piece.data(), piece.size() - room);
  }
  iconv_close(converter);
  if (!ok && latin1) return to_utf8("latin1", octets);
  if (!ok) return {};
  return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

}  // namespace sluice::engine::mail
