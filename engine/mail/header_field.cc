#include "engine/mail/header_field.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/mail/charset.h"

namespace sluice::engine::mail {
namespace {

// No limit of RFC 5322, but a line must hold the name and something.
constexpr size_t field_name_bytes_max = 76;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// RFC 5322 section 2.2: printable US-ASCII but the colon. Empty when `line` is no field.
std::string_view field_name(std::string_view line) {
  const auto name = line.substr(0, line.find(':'));
  const bool valid = name.size() < line.size() && name.size() <= field_name_bytes_max &&
                     std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
  return valid ? name : std::string_view();
}

std::string without_comments(std::string_view value) {
  std::string out;
  unsigned depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (c == '\\' && (quoted || depth > 0)) {
      if (depth == 0) out += value.substr(i, 2);
      ++i;
      continue;
    }
    if (depth == 0 && c == '"') quoted = !quoted;
    if (!quoted && c == '(') ++depth;
    if (depth == 0) out.push_back(c);
    if (!quoted && c == ')' && depth > 0) --depth;
  }
  return out;
}

std::string unquoted(std::string_view text) {
  if (!text.starts_with('"')) return std::string(text);
  std::string out;
  for (size_t i = 1; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out.push_back(text[i]);
  }
  return out;
}

// Up to the next ';' outside quotes.
std::string_view next_piece(std::string_view& rest) {
  bool quoted = false;
  size_t end = 0;
  for (; end < rest.size() && (quoted || rest[end] != ';'); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    if (quoted && rest[end] == '\\') ++end;
  }
  end = std::min(end, rest.size());
  const auto piece = trimmed(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return piece;
}

}  // namespace

bool HeaderField::is(std::string_view other) const { return equals_ignoring_case(name, other); }

FieldKind kind_of(const HeaderField& field) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(names, [&](std::string_view name) { return field.is(name); });
  };
  if (is_one_of(
          {"Content-Type", "Content-Disposition", "Content-Transfer-Encoding", "MIME-Version"})) {
    return FieldKind::structure;
  }
  if (is_one_of({"Message-ID", "In-Reply-To", "References", "Content-ID", "Resent-Message-ID"})) {
    return FieldKind::identifier;
  }
  if (is_one_of({"From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-Sender",
                 "Resent-To", "Resent-Cc", "List-ID", "Disposition-Notification-To",
                 "Return-Receipt-To", "Errors-To", "Mail-Followup-To", "Mail-Reply-To",
                 "Approved"})) {
    return FieldKind::address;
  }
  if (is_one_of({"List-Unsubscribe", "List-Help", "List-Subscribe", "List-Post", "List-Owner",
                 "List-Archive"})) {
    return FieldKind::url_list;
  }
  return FieldKind::unstructured;
}

const HeaderField* Header::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(fields, [&](const HeaderField& field) { return field.is(name); });
  return found == fields.end() ? nullptr : &*found;
}

Header scan_header(std::string_view text) {
  Header header;
  while (!text.empty()) {
    const size_t line_end = text.find("\r\n");
    const auto line = text.substr(0, line_end);
    const auto whole = text.substr(0, line_end == text.npos ? text.size() : line_end + 2);
    const bool is_fold = !line.empty() && is_blank(line.front()) && !header.fields.empty();
    const auto name = is_fold ? std::string_view() : field_name(line);
    if (is_fold) {
      auto& field = header.fields.back();
      field.value = {field.value.data(), static_cast<size_t>(line.end() - field.value.begin())};
      field.raw = {field.raw.data(), static_cast<size_t>(whole.end() - field.raw.begin())};
    } else if (!name.empty()) {
      header.fields.push_back({name, line.substr(name.size() + 1), whole});
    } else {
      header.has_border = line.empty();
      if (header.has_border) text.remove_prefix(whole.size());
      break;
    }
    text.remove_prefix(whole.size());
  }
  header.body = text;
  return header;
}

Header parse_header(std::string_view text, HeaderPlace place, SourceText& source) {
  Header header = scan_header(text);
  for (const auto& field : header.fields)
    if (field.name.find("{{") != field.name.npos)
      source.fail(field.raw, "no tags in a header's name");
  if (header.has_border) return header;
  if (!header.body.empty()) {
    const auto line = header.body.substr(0, header.body.find("\r\n"));
    source.fail(line,
                header.fields.empty() && place == HeaderPlace::message
                    ? std::string("the message does not begin with a header; write header lines "
                                  "(From: ...), an empty line, then the text")
                    : fmt::format("\"{}\" is no header line; an empty line must end the header",
                                  line.substr(0, 40)));
    header.body.remove_prefix(header.body.size());
  } else if (place == HeaderPlace::message) {
    source.fail(header.body, "no empty line between header and body");
  }
  return header;
}

std::string unfold(std::string_view value) {
  std::string out;
  for (size_t end; (end = value.find("\r\n")) != value.npos; value.remove_prefix(end + 2))
    out += value.substr(0, end);
  out += value;
  return std::string(trimmed(out));
}

ParameterizedValue parse_parameterized(std::string_view value) {
  ParameterizedValue parsed;
  const auto text = without_comments(unfold(value));
  std::string_view rest = text;
  parsed.raw_value = next_piece(rest);
  parsed.value = to_lower(parsed.raw_value);
  while (!rest.empty()) {
    const auto piece = next_piece(rest);
    const size_t equals = piece.find('=');
    if (equals == piece.npos) continue;
    parsed.parameters.push_back({to_lower(trimmed(piece.substr(0, equals))),
                                 unquoted(trimmed(piece.substr(equals + 1))), std::string(piece)});
  }
  return parsed;
}

std::string_view ParameterizedValue::parameter(std::string_view name) const {
  const auto found = std::ranges::find(parameters, name, &Parameter::name);
  return found == parameters.end() ? std::string_view() : found->value;
}

}  // namespace sluice::engine::mail
