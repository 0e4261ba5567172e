#include "engine/smtp/envelope_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/report/utf8.h"
#include "engine/smtp/command.h"
#include "engine/smtp/path.h"

namespace sluice::engine::smtp {
namespace {

constexpr std::string_view unknown_parameter = "555 5.5.4 Parameter not offered";
constexpr std::string_view repeated_parameter = "501 5.5.4 Parameter given twice";

struct Parameter {
  std::string_view name, value;
};

/// `name=value` off the front of `text`.
Parameter take_parameter(std::string_view& text) {
  const std::string_view word = take_word(text);
  const size_t equals = std::min(word.find('='), word.size());
  return {.name = word.substr(0, equals), .value = word.substr(std::min(equals + 1, word.size()))};
}

std::optional<uint64_t> number(std::string_view text) {
  constexpr size_t digits_max = 20;  // RFC 1870 section 3
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || text.size() > digits_max || stop != end) return std::nullopt;
  if (error == std::errc::result_out_of_range) return UINT64_MAX;
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

/// Takes the path behind `keyword`, "FROM:" or "TO:". Blanks behind the colon are not allowed (RFC
/// 5321 section 3.3), and common.
std::optional<std::string_view> take_path_behind(std::string_view keyword, std::string_view& text) {
  if (!is_word(text.substr(0, keyword.size()), keyword)) return std::nullopt;
  text.remove_prefix(keyword.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const auto path = take_path(text);
  if (!path || !(text.empty() || text.starts_with(' '))) return std::nullopt;
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return path;
}

class MailReader {
 public:
  MailReader(const EnvelopeRules& rules, Incoming& envelope) : rules_(rules), envelope_(envelope) {}

  std::string_view read(std::string_view argument) {
    const auto path = take_path_behind("FROM:", argument);
    if (!path) return "501 5.5.4 Write MAIL FROM:<address>";
    while (!argument.empty())
      if (const auto objection = take(take_parameter(argument)); !objection.empty())
        return objection;
    if (path->empty()) return {};
    if (is_8bit(*path) && !envelope_.is_smtputf8)
      return "553 5.6.7 Addresses beyond ASCII need SMTPUTF8";
    const Mailbox mailbox = read_mailbox(*path, envelope_.sender);
    envelope_.sender_needs_smtputf8 = mailbox.needs_smtputf8;
    return mailbox.is_good ? "" : "553 5.1.7 The sender is no address";
  }

 private:
  enum Known : uint8_t { size, body, smtputf8, ret, envid, auth, requiretls, known_count };

  std::string_view take(Parameter parameter) {
    constexpr std::array<std::string_view, known_count> names = {
        "SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "REQUIRETLS"};
    const auto* const found = std::ranges::find_if(
        names, [&](std::string_view name) { return is_word(parameter.name, name); });
    const auto known = static_cast<Known>(found - names.begin());
    if (known == known_count || (known == auth && !rules_.knows_auth) ||
        (known == requiretls && !rules_.is_tls))
      return unknown_parameter;
    if ((seen_ >> known & 1) != 0) return repeated_parameter;
    seen_ = static_cast<uint8_t>(seen_ | 1 << known);
    switch (known) {
      case size:     return take_size(parameter.value);
      case body:     return take_body(parameter.value);
      case smtputf8: envelope_.is_smtputf8 = true; break;
      case ret:      return take_returned(parameter.value);
      case envid:    return take_envelope_id(parameter.value);
      case requiretls:
        envelope_.is_tls_required = true;
        return parameter.value.empty() ? "" : "501 5.5.4 REQUIRETLS has no value";
      default: break;  // AUTH= is as the client says: nobody to believe it of
    }
    return {};
  }

  std::string_view take_size(std::string_view value) {
    const auto bytes = number(value);
    if (!bytes) return "501 5.5.4 SIZE is no number";
    if (*bytes > rules_.message_bytes_max) return "552 5.3.4 Message too large";
    envelope_.bytes_declared = *bytes;
    return {};
  }

  std::string_view take_body(std::string_view value) {
    envelope_.is_8bit = is_word(value, "8BITMIME");
    const bool is_known = envelope_.is_8bit || is_word(value, "7BIT");
    return is_known ? "" : "501 5.5.4 BODY is 7BIT or 8BITMIME";
  }

  std::string_view take_returned(std::string_view value) {
    const bool is_known = is_word(value, "HDRS") || is_word(value, "FULL");
    if (!is_known) return "501 5.5.4 RET is HDRS or FULL";
    envelope_.returned = *parse_returned_content(value);
    return {};
  }

  std::string_view take_envelope_id(std::string_view value) {
    const bool is_good = !value.empty() && read_xtext(value, envelope_.envelope_id) &&
                         is_envelope_id(envelope_.envelope_id);
    return is_good ? "" : "501 5.5.4 ENVID is xtext of at most 100 octets";
  }

  const EnvelopeRules& rules_;
  Incoming& envelope_;
  uint8_t seen_ = 0;
};

/// ORCPT (RFC 3461 section 4.2): a type, ';' and xtext, or with the type utf-8 what RFC 6533
/// section 3 allows, of which characters beyond ASCII are kept as `\x{HEX}`: a form that every peer
/// can be told.
bool read_original(std::string_view value, bool is_smtputf8, std::string& out) {
  constexpr size_t value_bytes_max = 500;
  constexpr std::string_view type_characters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
  const size_t semicolon = value.find(';');
  if (semicolon == value.npos || semicolon == 0 || value.size() > value_bytes_max) return false;
  if (value.find_first_not_of(type_characters) != semicolon) return false;
  const bool is_utf8 = is_smtputf8 && is_word(value.substr(0, semicolon), "UTF-8");
  out = value.substr(0, semicolon + 1);
  for (std::string_view rest = value.substr(semicolon + 1); !rest.empty();) {
    const report::Utf8Character character = report::read_utf8(rest);
    if (character.bytes > 1 || !character.is_valid) {
      if (!is_utf8 || !character.is_valid || report::is_control(character.code)) return false;
      std::array<char, 8> digits;
      const auto end =
          std::to_chars(digits.begin(), digits.end(), static_cast<uint32_t>(character.code), 16);
      std::transform(digits.begin(), end.ptr, digits.begin(),
                     [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
      out.append("\\x{").append(digits.begin(), end.ptr).append("}");
    } else {
      out += rest.front();
    }
    rest.remove_prefix(character.bytes);
  }
  return is_xtext(std::string_view(out).substr(semicolon + 1));
}

}  // namespace

std::string_view read_mail(std::string_view argument, const EnvelopeRules& rules,
                           Incoming& envelope) {
  return MailReader(rules, envelope).read(argument);
}

std::string_view read_rcpt(std::string_view argument, bool is_smtputf8,
                           IncomingRecipient& recipient) {
  const auto path = take_path_behind("TO:", argument);
  if (!path) return "501 5.5.4 Write RCPT TO:<address>";
  bool has_notify = false, has_original = false;
  while (!argument.empty()) {
    const Parameter parameter = take_parameter(argument);
    const bool is_notify = is_word(parameter.name, "NOTIFY");
    if (!is_notify && !is_word(parameter.name, "ORCPT")) return unknown_parameter;
    bool& is_repeated = is_notify ? has_notify : has_original;
    if (is_repeated) return repeated_parameter;
    is_repeated = true;
    if (is_notify) {
      const auto notify = parse_notify(parameter.value);
      if (!notify) return "501 5.5.4 NOTIFY is NEVER, or of SUCCESS, FAILURE and DELAY";
      recipient.notify = *notify;
    } else if (!read_original(parameter.value, is_smtputf8, recipient.original)) {
      return "501 5.5.4 ORCPT is a type, a semicolon and xtext";
    }
  }
  if (is_8bit(*path) && !is_smtputf8) return "553 5.6.7 Addresses beyond ASCII need SMTPUTF8";
  // RFC 5321 section 4.5.1: the one address without a domain.
  if (is_word(*path, "POSTMASTER")) {
    recipient.address = "postmaster";
    return {};
  }
  const Mailbox mailbox = read_mailbox(*path, recipient.address);
  recipient.needs_smtputf8 = mailbox.needs_smtputf8;
  return mailbox.is_good ? "" : "553 5.1.3 The recipient is no address";
}

}  // namespace sluice::engine::smtp
