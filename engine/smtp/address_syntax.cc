#include "engine/smtp/address_syntax.h"

namespace sluice::engine::smtp {

bool is_writable_address(std::string_view address, bool with_utf8) {
  if (address.empty() || address.size() > address_bytes_max) return false;
  bool is_quoted = false, is_escaped = false;
  for (const char c : address) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) return false;
    if (octet > 0x7f && !with_utf8) return false;
    if (is_escaped) {
      is_escaped = false;
    } else if (c == '\\') {
      // RFC 5321 section 4.1.2: a quoted pair stands in a quoted string only.
      if (!is_quoted) return false;
      is_escaped = true;
    } else if (c == '"') {
      is_quoted = !is_quoted;
    } else if (!is_quoted && (c == ' ' || c == '<' || c == '>')) {
      return false;
    }
  }
  return !is_quoted;
}

}  // namespace sluice::engine::smtp
