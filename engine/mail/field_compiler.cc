#include "engine/mail/field_compiler.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/mail/address_compiler.h"
#include "engine/mail/charset.h"
#include "engine/mail/encoded_word.h"
#include "engine/mail/mime_field.h"
#include "engine/mail/wire_line.h"

namespace sluice::engine::mail {
namespace {

using Kind = MustacheToken::Kind;

bool opens(const MustacheToken& token) {
  return token.kind == Kind::section || token.kind == Kind::inverted;
}
Op op_of(const MustacheToken& token) {
  return token.kind == Kind::section ? Op::section : Op::inverted;
}

}  // namespace

bool is_plain_message_id(std::string_view text) {
  constexpr size_t bytes_max = 900;
  return text.size() <= bytes_max && text.starts_with('<') && text.ends_with('>') &&
         text.find('@') != text.npos && !has_mustache(text) &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

void FieldCompiler::fail(const Value& value, std::string_view near, std::string_view text) {
  if (value.written.empty()) return source_.fail_outside(value.where, text);
  // The text is unfolded and decoded: what it came from is found again when it stands there as it
  // is.
  const size_t at = value.written.find(near);
  source_.fail(value.written.substr(at == value.written.npos ? 0 : at), text);
}

std::optional<uint16_t> FieldCompiler::column_of(const Value& value, const MustacheToken& token) {
  const auto column = columns_.find(token.text);
  if (!column) fail(value, token.text, columns_.explain_unknown(token.text));
  return column;
}

void FieldCompiler::put_slot(const Value& value, const MustacheToken& token, Escape escape) {
  const auto column = column_of(value, token);
  if (!column) return;
  columns_.forbid_newline(*column);
  builder_.slot(*column, escape);
}

void FieldCompiler::put_text(const Value& value, const Tokens& tokens, Escape escape) {
  std::vector<uint32_t> open;
  for (const auto& token : tokens) {
    if (token.kind == Kind::text) {
      builder_.text(token.text);
    } else if (token.kind == Kind::variable) {
      put_slot(value, token, escape);
    } else if (opens(token)) {
      open.push_back(
          builder_.begin_section(op_of(token), column_of(value, token).value_or(address_column)));
    } else if (!open.empty()) {
      builder_.end(open.back());
      open.pop_back();
    }
  }
  for (; !open.empty(); open.pop_back()) builder_.end(open.back());
}

void FieldCompiler::compile(const HeaderField& field) {
  const auto kind = kind_of(field);
  auto text = unfold(field.value);
  const bool may_hold_words = kind == FieldKind::unstructured || kind == FieldKind::address;
  if (may_hold_words && text.find("=?") != text.npos) {
    auto decoded = decode_encoded_words(text, kind == FieldKind::address);
    // Encoded-words without tags stay what they are.
    if (has_mustache(decoded)) text = std::move(decoded);
  }
  const bool has_tags = has_mustache(text);
  if (!has_tags && is_ascii(field.raw) && line_bytes_max(field.raw) <= wire_line_bytes_max) {
    builder_.wire(field.raw);
    if (!field.raw.ends_with('\n')) builder_.wire("\r\n");
    return;
  }
  if (!is_utf8(text))
    return source_.fail(
        field.raw, fmt::format("{} holds octets that are neither ASCII nor UTF-8", field.name));
  if (kind == FieldKind::structure) {
    if (has_tags) return source_.fail(field.raw, fmt::format("no tags in {}", field.name));
    builder_.wire(mime_field(field.name, parse_parameterized(field.value)));
    return;
  }
  Value value{field.name, field.raw, {}, std::move(text)};
  compile(value, kind);
}

void FieldCompiler::compile_added(std::string_view name, std::string_view text,
                                  std::string_view where) {
  Value value{name, {}, std::string(where), std::string(text)};
  compile(value, kind_of({name, {}, {}}));
}

void FieldCompiler::compile(Value& value, FieldKind kind) {
  const auto scanned = scan_mustache(value.text, false);
  for (const auto& error : scanned.errors) {
    fail(value, std::string_view(value.text).substr(error.offset, 6), error.text);
  }
  if (!scanned.errors.empty()) return;
  // An address list may not be empty (RFC 5322 section 3.4); what came to nothing is left out.
  const bool may_be_omitted = kind != FieldKind::unstructured;
  const uint32_t field = builder_.begin_field(fmt::format("{}:", value.name), may_be_omitted);
  switch (kind) {
    case FieldKind::address:      addresses(value, scanned.tokens); break;
    case FieldKind::identifier:   identifiers(value, scanned.tokens); break;
    case FieldKind::url_list:     urls(value, scanned.tokens); break;
    case FieldKind::structure:
    case FieldKind::unstructured: {
      const uint32_t element = builder_.begin_element(Layout::unstructured);
      put_text(value, scanned.tokens, Escape::none);
      builder_.end(element);
    }
  }
  builder_.end_field(field);
}

void FieldCompiler::addresses(const Value& value, const Tokens& tokens) {
  AddressCompiler compiler(
      builder_,
      {
          .column_of = [&](const MustacheToken& token) { return column_of(value, token); },
          .forbid_newline =
              [&](const MustacheToken& token) {
                columns_.forbid_newline(*columns_.find(token.text));
              },
          .fail =
              [&](std::string_view text) {
                fail(value, value.name, fmt::format("{}: {}", value.name, text));
              },
      });
  compiler.run(tokens);
}

void FieldCompiler::identifiers(const Value& value, const Tokens& tokens) {
  if (!is_ascii(value.text))
    return fail(value, value.name, fmt::format("{} holds octets that are not ASCII", value.name));
  const bool is_message_id = equals_ignoring_case(value.name, "Message-ID");
  const uint32_t element =
      builder_.begin_element(is_message_id ? Layout::token : Layout::unstructured);
  // Where the message says the domain, a tag is part of what is before the @; else it is all.
  const bool has_domain = std::ranges::any_of(tokens, [](const MustacheToken& token) {
    return token.kind == Kind::text && token.text.find('@') != token.text.npos;
  });
  put_text(value, tokens, has_domain ? Escape::local_part : Escape::identifier);
  builder_.end(element);
  if (is_message_id) builder_.set_message_id(element);
}

void FieldCompiler::urls(const Value& value, const Tokens& tokens) {
  uint32_t element = 0;
  bool in_url = false;
  bool at_url_start = false;
  std::vector<uint32_t> open;
  size_t open_outside = 0;  // sections around the URL under way
  std::string text;
  const auto put_outside = [&] {
    const bool blank = text.find_first_not_of(" \t") == text.npos;
    if (!blank) {
      const uint32_t comment = builder_.begin_element(Layout::unstructured);
      builder_.text(text);
      builder_.end(comment);
    }
    text.clear();
  };
  for (const auto& token : tokens) {
    if (token.kind == Kind::variable) {
      if (!in_url) {
        fail(value, token.text, fmt::format("{}: tags belong within <URL>", value.name));
        continue;
      }
      const bool whole = at_url_start || !token.is_escaped;
      put_slot(value, token, whole ? Escape::url_whole : Escape::url);
      at_url_start = false;
    } else if (opens(token)) {
      put_outside();
      open.push_back(
          builder_.begin_section(op_of(token), column_of(value, token).value_or(address_column)));
    } else if (token.kind == Kind::close) {
      put_outside();
      if (open.size() <= open_outside) {
        fail(value, value.name,
             fmt::format("{}: a section begins before < and ends within <>", value.name));
        continue;
      }
      builder_.end(open.back());
      open.pop_back();
    }
    for (const char c : token.kind == Kind::text ? token.text : std::string_view()) {
      if (!in_url && c == '<') {
        put_outside();
        element = builder_.begin_element(Layout::token);
        in_url = true;
        builder_.text("<");
        at_url_start = true;
        open_outside = open.size();
      } else if (in_url && c == '>') {
        if (open.size() != open_outside) {
          fail(value, value.name,
               fmt::format("{}: a section begins within <> and ends behind", value.name));
        }
        open_outside = 0;
        builder_.text(">");
        builder_.end(element);
        in_url = false;
      } else if (!in_url && c == ',') {
        put_outside();
        builder_.end(builder_.begin_element(Layout::comma));
      } else if (!in_url) {
        text.push_back(c);
      } else if (c != ' ' && c != '\t') {
        std::string octets;
        escape_into(octets, {&c, 1}, Escape::url_whole);
        builder_.text(octets);
        at_url_start = false;
      }
    }
  }
  put_outside();
  if (in_url) {
    fail(value, value.name, fmt::format("{}: < without >", value.name));
    builder_.end(element);
  }
}

void FieldCompiler::add_message_id(uint64_t campaign_uid, std::string_view domain) {
  const uint32_t field = builder_.begin_field("Message-ID:", false);
  const uint32_t element = builder_.begin_element(Layout::token);
  builder_.text(fmt::format("<{:016x}.", campaign_uid));
  builder_.slot(number_column, Escape::none);
  builder_.text(fmt::format("@{}>", domain));
  builder_.end(element);
  builder_.end_field(field);
  builder_.set_message_id(element);
}

void FieldCompiler::compile_sender(std::string_view sender) {
  Value value{"sender", {}, fmt::format("sender {}", sender), std::string(sender)};
  if (!is_ascii(value.text)) builder_.set_has_utf8_envelope();
  const auto scanned = scan_mustache(value.text, false);
  for (const auto& error : scanned.errors) fail(value, {}, error.text);
  bool in_domain = false, has_tags = false;
  for (const auto& token : scanned.tokens) {
    if (token.kind == Kind::text) {
      in_domain = in_domain || token.text.find('@') != token.text.npos;
      const bool clean = std::ranges::none_of(token.text, [](char c) {
        return (c >= 0 && c <= ' ') || c == '<' || c == '>' || c == 0x7f;
      });
      if (!clean) fail(value, {}, "blanks, < or > in an address");
    } else {
      has_tags = true;
      if (in_domain && token.kind == Kind::variable)
        fail(value, {}, "no tags in the domain of the sender");
    }
  }
  if (!has_tags && !sender.empty() && !in_domain) fail(value, {}, "an address has an @");
  put_text(value, scanned.tokens, in_domain ? Escape::local_part : Escape::identifier);
}

}  // namespace sluice::engine::mail
