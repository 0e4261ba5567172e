#include "tools/terminal_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "engine/report/utf8.h"

namespace sluice::tools {

namespace {

using engine::report::is_control;
using engine::report::read_utf8;

struct Range {
  char32_t first, last;
};

bool is_in(std::span<const Range> ranges, char32_t code) {
  return std::ranges::any_of(ranges, [code](Range r) { return r.first <= code && code <= r.last; });
}

bool turns_direction(char32_t code) {
  constexpr Range ranges[] = {
      {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff}};
  return is_in(ranges, code);
}

size_t width(char32_t code) {
  constexpr Range none[] = {{0x300, 0x36f}, {0x1ab0, 0x1aff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
  constexpr Range wide[] = {{0x1100, 0x115f},  {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                            {0xf900, 0xfaff},  {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                            {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1faff},
                            {0x20000, 0x3fffd}};
  if (code < 0x300) return 1;
  return is_in(none, code) ? 0 : is_in(wide, code) ? 2 : 1;
}

}  // namespace

std::string terminal_text(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  std::string out;
  while (!text.empty()) {
    const auto character = read_utf8(text);
    const auto octet = static_cast<unsigned char>(text.front());
    if (text.starts_with("\r\n") || character.code == '\n')
      out += " / ";
    else if (!character.is_valid)
      out += fmt::format("\\x{:02x}", octet);
    else if (is_control(character.code))
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(character.code));
    else if (turns_direction(character.code))
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(character.code));
    else
      out += text.substr(0, character.bytes);
    text.remove_prefix(text.starts_with("\r\n") ? 2 : character.bytes);
  }
  return out;
}

size_t terminal_width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const auto character = read_utf8(text);
    columns += width(character.code);
    text.remove_prefix(character.bytes);
  }
  return columns;
}

std::string fitted(std::string_view text, size_t columns) {
  const size_t wanted = terminal_width(text);
  if (wanted <= columns) return std::string(text) + std::string(columns - wanted, ' ');
  std::string out;
  size_t used = 0;
  while (true) {
    const auto character = read_utf8(text);
    if (used + width(character.code) + 1 > columns) break;
    used += width(character.code);
    out += text.substr(0, character.bytes);
    text.remove_prefix(character.bytes);
  }
  out += "…";
  return out + std::string(columns - used - 1, ' ');
}

}  // namespace sluice::tools
