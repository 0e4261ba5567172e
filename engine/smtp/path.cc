#include "engine/smtp/path.h"

#include <algorithm>

#include "engine/intake/address.h"
#include "engine/report/utf8.h"
#include "engine/smtp/address_syntax.h"

namespace sluice::engine::smtp {
namespace {

bool is_atext(char c) {
  constexpr std::string_view specials = "!#$%&'*+-/=?^_`{|}~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c & 0x80) != 0 || specials.find(c) != specials.npos;
}

/// Quoted-string (RFC 5321 section 4.1.2); controls are no characters of it.
bool is_quoted_string(std::string_view text) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  text = text.substr(1, text.size() - 2);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return false;
    if (text[i] == '\\' && ++i == text.size()) return false;
  }
  return true;
}

bool is_local_part(std::string_view text) {
  if (is_quoted_string(text)) return true;
  return !text.empty() && std::ranges::all_of(text, [](char c) { return is_atext(c) || c == '.'; });
}

bool is_text(std::string_view text) {
  while (!text.empty()) {
    const report::Utf8Character character = report::read_utf8(text);
    if (!character.is_valid || report::is_control(character.code)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace

bool is_8bit(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c & 0x80) != 0; });
}

std::optional<std::string_view> take_path(std::string_view& text) {
  if (!text.starts_with('<')) return std::nullopt;
  bool is_quoted = false;
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && is_quoted) {
      ++i;
    } else if (c == '"') {
      is_quoted = !is_quoted;
    } else if (c == '>' && !is_quoted) {
      std::string_view path = text.substr(1, i - 1);
      text.remove_prefix(i + 1);
      if (path.starts_with('@')) path.remove_prefix(std::min(path.find(':'), path.size() - 1) + 1);
      return path;
    }
  }
  return std::nullopt;
}

Mailbox read_mailbox(std::string_view text, std::string& out) {
  out.clear();
  const size_t at = text.rfind('@');
  if (at == text.npos || text.size() > address_bytes_max) return {};
  const std::string_view local = text.substr(0, at);
  if (!is_local_part(local) || !is_text(local)) return {};
  out.append(local).push_back('@');
  const bool has_domain = intake::normalise_domain(text.substr(at + 1), out).has_value();
  const bool needs_smtputf8 = is_8bit(local);
  return {.is_good = has_domain && is_writable_address(out, needs_smtputf8),
          .needs_smtputf8 = needs_smtputf8};
}

}  // namespace sluice::engine::smtp
