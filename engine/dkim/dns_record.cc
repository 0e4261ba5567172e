#include "engine/dkim/dns_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/mail/base64.h"

namespace sluice::engine::dkim {
namespace {

constexpr size_t string_bytes_max = 255;
constexpr std::string_view blanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(blanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

std::string_view key_type(const Key& key) {
  return key.algorithm() == Algorithm::rsa_sha256 ? "rsa" : "ed25519";
}

/// A tag-list (RFC 6376 section 3.2). Of a tag that comes twice the first counts.
std::optional<std::string_view> find_tag(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const std::string_view tag = list.substr(0, list.find(';'));
    list.remove_prefix(std::min(list.size(), tag.size() + 1));
    const size_t equals = tag.find('=');
    if (equals != tag.npos && trimmed(tag.substr(0, equals)) == wanted)
      return trimmed(tag.substr(equals + 1));
  }
  return std::nullopt;
}

/// Is it in a list whose elements colons divide? No list: all are meant.
bool has(std::optional<std::string_view> list, std::string_view one) {
  if (!list) return true;
  for (std::string_view rest = *list;;) {
    const std::string_view element = rest.substr(0, rest.find(':'));
    if (trimmed(element) == one || trimmed(element) == "*") return true;
    if (element.size() == rest.size()) return false;
    rest.remove_prefix(element.size() + 1);
  }
}

}  // namespace

std::string record_name(std::string_view selector, std::string_view domain) {
  return fmt::format("{}._domainkey.{}", selector, domain);
}

std::string record_text(const Key& key) {
  std::string text = fmt::format("v=DKIM1; k={}; p=", key_type(key));
  mail::append_base64(text, key.public_octets());
  return text;
}

std::string zone_text(std::string_view name, std::string_view text) {
  std::string out = fmt::format("{}. IN TXT (", name);
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), string_bytes_max)))
    out += fmt::format(" \"{}\"", text.substr(0, string_bytes_max));
  return out + " )\n";
}

std::string mismatch(std::string_view text, const Key& key) {
  const auto version = find_tag(text, "v");
  if (version && (*version != "DKIM1" || !trimmed(text).starts_with("v")))
    return "does not begin with v=DKIM1";
  if (const std::string_view type = find_tag(text, "k").value_or("rsa"); type != key_type(key))
    return fmt::format("is of another kind of key: k={}, and ours is {}", type, key_type(key));
  if (!has(find_tag(text, "h"), "sha256")) return "does not allow sha256 (its tag h=)";
  if (!has(find_tag(text, "s"), "email")) return "is not for mail (its tag s=)";
  const auto code = find_tag(text, "p");
  if (!code) return "has no tag p=, the key";
  if (code->empty()) return "says that the key is revoked: its tag p= is empty";
  if (mail::decode_base64(*code) != key.public_octets()) return "is of another key";
  return {};
}

}  // namespace sluice::engine::dkim
