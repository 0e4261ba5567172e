#include "engine/intake/address.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <memory>

#include <simdjson.h>

namespace sluice::engine::intake {
namespace {

using Reason = std::unexpected<std::string_view>;

constexpr uint8_t atext = 1, alnum = 2, ldh = 4, quotable = 8;

constexpr std::array<uint8_t, 256> class_of = [] {
  std::array<uint8_t, 256> classes{};
  for (unsigned c = 0; c < 128; ++c) {
    const bool is_alnum =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (is_alnum) classes[c] |= atext | alnum | ldh;
    if (c == '-') classes[c] |= ldh;
    if (c >= 32 && c <= 126) classes[c] |= quotable;
  }
  for (const char c : std::string_view("!#$%&'*+-/=?^_`{|}~"))
    classes[static_cast<uint8_t>(c)] |= atext;
  for (unsigned c = 128; c < 256; ++c) classes[c] = atext | quotable;
  return classes;
}();

bool is(char c, uint8_t wanted) { return (class_of[static_cast<uint8_t>(c)] & wanted) != 0; }
bool has_8bit(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c & 0x80) != 0; });
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Dot-string (RFC 5321 section 4.1.2): atoms between single dots.
bool is_dot_string(std::string_view text) {
  bool atom = false;
  for (const char c : text) {
    if (c == '.') {
      if (!atom) return false;
      atom = false;
    } else {
      if (!is(c, atext)) return false;
      atom = true;
    }
  }
  return atom;
}

std::string_view wrong_with_dot_string(std::string_view text) {
  if (text.empty()) return "nothing before the @";
  if (text.front() == '.' || text.back() == '.') return "its local part begins or ends with a dot";
  if (text.find("..") != text.npos) return "two dots in a row";
  if (text.find('@') != text.npos) return "more than one @";
  if (text.find_first_of("<>") != text.npos) return "only the address itself is wanted, without <>";
  if (text.find(' ') != text.npos) return "a space in its local part";
  return "a character that must be quoted in its local part";
}

/// The octets that the text between the quotes stands for, or false (RFC 5321 section 4.1.2,
/// Quoted-string).
bool unquote(std::string_view text, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return false;
    if (text[i] == '\\' && ++i == text.size()) return false;
    if (!is(text[i], quotable)) return false;
    out.push_back(text[i]);
  }
  return !out.empty();
}

/// RFC 5321 section 4.1.2: a sender SHOULD use the form with the least quoting; so equal mailboxes
/// have equal texts.
std::expected<void, std::string_view> append_quoted_local(std::string_view text, std::string& out) {
  std::string content;
  if (!unquote(text.substr(1, text.size() - 2), content))
    return Reason("a broken quoted local part");
  if (is_dot_string(content)) {
    out += content;
    return {};
  }
  out.push_back('"');
  for (const char c : content) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return {};
}

bool has_c1_control(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '\xc2' && static_cast<uint8_t>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

std::expected<void, std::string_view> append_literal(std::string_view text, std::string& out) {
  constexpr Reason broken("a broken address literal; write [192.0.2.1] or [IPv6:2001:db8::1]");
  if (text.size() < 3 || text.back() != ']' || text.size() > 64) return broken;
  constexpr std::string_view tag = "IPv6:";
  std::string inside(text.substr(1, text.size() - 2));
  std::array<char, INET6_ADDRSTRLEN> shown{};
  if (inside.size() > tag.size() && strncasecmp(inside.data(), tag.data(), tag.size()) == 0) {
    in6_addr address{};
    if (inet_pton(AF_INET6, inside.c_str() + tag.size(), &address) != 1) return broken;
    out.append("[")
        .append(tag)
        .append(inet_ntop(AF_INET6, &address, shown.data(), shown.size()))
        .append("]");
    return {};
  }
  in_addr address{};
  if (inet_pton(AF_INET, inside.c_str(), &address) != 1) return broken;
  out.append("[").append(inet_ntop(AF_INET, &address, shown.data(), shown.size())).append("]");
  return {};
}

/// Appends `text`, a domain of ASCII, in lower case.
std::expected<void, std::string_view> append_ascii_domain(std::string_view text, std::string& out) {
  if (text.empty()) return Reason("nothing behind the @");
  if (text.size() > domain_bytes_max) return Reason("its domain is longer than 255 octets");
  size_t label_start = 0;
  bool label_is_number = true;
  const size_t before = out.size();
  out.resize(before + text.size());
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != '.') {
      if (!is(text[i], ldh)) return Reason("a character in its domain that no host name has");
      label_is_number = (i == label_start || label_is_number) && text[i] >= '0' && text[i] <= '9';
      out[before + i] = lower(text[i]);
      continue;
    }
    if (i == label_start)
      return Reason(i == text.size() ? "its domain ends with a dot"
                                     : "an empty label in its domain");
    if (i - label_start > 63) return Reason("a label of its domain is longer than 63 octets");
    if (text[label_start] == '-' || text[i - 1] == '-')
      return Reason("a label of its domain begins or ends with a hyphen");
    if (i < text.size()) out[before + i] = '.';
    label_start = i + 1;
  }
  // RFC 3696 section 2: no top-level domain is a number; what looks so is an IP address without its
  // brackets.
  if (label_is_number)
    return Reason("its domain ends in a number; an IP address is written [192.0.2.1]");
  return {};
}

}  // namespace

std::expected<void, std::string_view> normalise_domain(std::string_view text, std::string& out) {
  if (!text.empty() && text.front() == '[') return append_literal(text, out);
  if (!has_8bit(text)) return append_ascii_domain(text, out);
  if (text.find('\0') != text.npos || !simdjson::validate_utf8(text.data(), text.size()))
    return Reason("its domain is not UTF-8");
  if (text.size() > 4 * domain_bytes_max) return Reason("its domain is longer than 255 octets");
  char* ascii = nullptr;
  const int code = idn2_to_ascii_8z(std::string(text).c_str(), &ascii,
                                    IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
  const std::unique_ptr<char, void (*)(void*)> owner(ascii, idn2_free);
  if (code != IDN2_OK) return Reason("its domain is no internationalised domain name (IDNA 2008)");
  return append_ascii_domain(ascii, out);
}

std::expected<AddressParts, std::string_view> normalise_address(std::string_view text,
                                                                std::string& out) {
  out.clear();
  if (text.empty()) return Reason("it is empty");
  // Nothing behind the last @ can be part of a local part: a domain or a literal has none.
  const size_t at = text.rfind('@');
  if (at == text.npos) return Reason("it has no @");
  const std::string_view local = text.substr(0, at);
  if (local.size() >= 2 && local.front() == '"' && local.back() == '"') {
    if (const auto done = append_quoted_local(local, out); !done) return Reason(done.error());
  } else if (is_dot_string(local)) {
    out += local;
  } else {
    return Reason(wrong_with_dot_string(local));
  }
  AddressParts parts{.local_bytes = out.size()};
  if (parts.local_bytes > local_part_bytes_max)
    return Reason("its local part is longer than 64 octets");
  if (has_8bit(out)) {
    if (!simdjson::validate_utf8(out.data(), out.size()) || has_c1_control(out))
      return Reason("its local part is not UTF-8 text");
    parts.needs_smtputf8 = true;
  }
  out.push_back('@');
  if (const auto done = normalise_domain(text.substr(at + 1), out); !done)
    return Reason(done.error());
  if (out.size() > address_bytes_max) return Reason("it is longer than 254 octets");
  return parts;
}

}  // namespace sluice::engine::intake
