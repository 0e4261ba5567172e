#include "engine/report/json_writer.h"

#include <array>
#include <charconv>
#include <cstring>

#include "engine/report/utf8.h"

namespace sluice::engine::report {

namespace {

/// Octets that a JSON string holds as they are.
constexpr auto is_plain = [] {
  std::array<bool, 256> plain{};
  for (unsigned c = 0x20; c < 0x7f; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

/// Are eight octets all plain? Each test leaves the high bit of an octet it fails for; a borrow can
/// only make the answer no where it were yes.
bool are_plain(const char* eight) {
  constexpr uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  uint64_t v = 0;
  std::memcpy(&v, eight, sizeof v);
  const auto has_zero = [](uint64_t x) { return (x - ones) & ~x; };
  const uint64_t below_space = v - ones * 0x20, quote = has_zero(v ^ ones * '"'),
                 backslash = has_zero(v ^ ones * '\\'), del = v + ones;
  return ((v | below_space | quote | backslash | del) & highs) == 0;
}

void append_control(std::string& out, char32_t code) {
  constexpr char digits[] = "0123456789abcdef";
  const char escaped[] = {'\\', 'u', '0', '0', digits[code >> 4 & 15], digits[code & 15]};
  out.append(escaped, sizeof escaped);
}

/// Appends the special character at the front of `text` and returns how many octets it took.
size_t append_special(std::string& out, std::string_view text) {
  switch (text.front()) {
    case '"':  out += "\\\""; return 1;
    case '\\': out += "\\\\"; return 1;
    case '\n': out += "\\n"; return 1;
    case '\r': out += "\\r"; return 1;
    case '\t': out += "\\t"; return 1;
    default:   break;
  }
  const Utf8Character character = read_utf8(text);
  if (!character.is_valid)
    out += "\xef\xbf\xbd";  // U+FFFD
  else if (is_control(character.code))
    append_control(out, character.code);
  else
    out += text.substr(0, character.bytes);
  return character.bytes;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (true) {
    size_t run = 0;
    while (run + 8 <= text.size() && are_plain(text.data() + run)) run += 8;
    while (run < text.size() && is_plain[static_cast<unsigned char>(text[run])]) ++run;
    out += text.substr(0, run);
    text.remove_prefix(run);
    if (text.empty()) break;
    text.remove_prefix(append_special(out, text));
  }
  out += '"';
}

void append_json_number(std::string& out, uint64_t number) {
  char digits[20];
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out += std::string_view(digits, end);
}

}  // namespace sluice::engine::report
