#include <fmt/format.h>

#include <algorithm>

#include "engine/mail/base64.h"
#include "engine/mail/charset.h"
#include "engine/mail/columns.h"
#include "engine/mail/date_text.h"
#include "engine/mail/field_compiler.h"
#include "engine/mail/mime_field.h"
#include "engine/mail/mime_tree.h"
#include "engine/mail/part_plan.h"
#include "engine/mail/program_builder.h"
#include "engine/mail/quoted_printable.h"
#include "engine/mail/template.h"
#include "engine/mail/wire_line.h"

namespace sluice::engine::mail {
namespace {

using Kind = MustacheToken::Kind;

// Each of `text`'s lines cut to what SMTP takes: a preamble or epilogue, which nobody reads.
std::string cut_lines(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find("\r\n");
    const size_t line = std::min(end, text.size());
    if (line > wire_line_bytes_max) {
      out += text.substr(0, wire_line_bytes_max);
      out += "\r\n";
      text.remove_prefix(wire_line_bytes_max);
      continue;
    }
    const size_t whole = end == text.npos ? line : line + 2;
    out += text.substr(0, whole);
    text.remove_prefix(whole);
  }
  return out;
}

class TemplateCompiler {
 public:
  /// `is_shared`: if nothing else makes it personal, its Message-ID shall not.
  TemplateCompiler(const TemplateInput& input, bool is_shared)
      : input_(input),
        is_shared_(is_shared),
        source_(input.message, input.path),
        columns_(input.columns, input.statistics),
        fields_(source_, columns_, builder_) {}

  std::expected<Program, std::vector<TemplateError>> run() {
    auto text = source_.text();
    // A byte order mark, as some editors put first.
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    // What mbox files put before each message.
    if (text.starts_with("From "))
      text.remove_prefix(std::min(text.find("\r\n"), text.size() - 2) + 2);
    auto header = parse_header(text, HeaderPlace::message, source_);
    if (!source_.has_errors()) {
      const auto part = parse_mime(text, std::move(header), source_);
      const auto plan = plan_part(part, columns_, source_);
      check_header(part.header);
      put_message_header(part, *plan);
      put_body(part, *plan);
    }
    builder_.end_message();
    fields_.compile_sender(input_.sender);
    if (source_.has_errors()) return std::unexpected(source_.take_errors());
    return std::move(builder_).finish(columns_.newline_forbidden());
  }

  bool has_kept_message_id() const { return has_kept_message_id_; }

 private:
  static bool is_dropped(const HeaderField& field) {
    return field.is("Bcc") || field.is("Resent-Bcc") || field.is("Return-Path");
  }

  // Would all recipients get the same one, though they get different messages?
  bool is_replaced_message_id(const HeaderField& field) const {
    if (!field.is("Message-ID") || is_kept_message_id(field)) return false;
    const auto scanned = scan_mustache(field.value, false);
    return scanned.errors.empty() &&
           std::ranges::none_of(scanned.tokens, [](const MustacheToken& token) {
             return token.kind == Kind::variable;
           });
  }

  bool is_kept_message_id(const HeaderField& field) const {
    return is_shared_ && field.is("Message-ID") && is_plain_message_id(unfold(field.value));
  }

  void check_header(const Header& header) {
    if (header.find("From") == nullptr)
      source_.fail(source_.line_of(header.fields.empty() ? header.body : header.fields[0].raw),
                   "no From header; write From: Name <address>");
    // RFC 5322 section 3.6: these once at most.
    for (const std::string_view name :
         {"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
          "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
          "Content-Disposition"}) {
      const auto* first = header.find(name);
      for (const auto& field : header.fields) {
        if (field.is(name) && &field != first)
          source_.fail(field.raw, fmt::format("a second {} header; the first is on line {}", name,
                                              source_.line_of(first->raw)));
      }
    }
  }

  void put_message_header(const MimePart& part, const PartPlan& plan) {
    const auto& header = part.header;
    const auto* id = header.find("Message-ID");
    for (const auto& field : header.fields) {
      if (is_dropped(field) || is_replaced_message_id(field)) continue;
      if (is_kept_message_id(field)) {
        builder_.keep_message_id("Message-ID", unfold(field.value));
        has_kept_message_id_ = true;
      } else {
        put_field(field, part, plan);
      }
    }
    if (header.find("Date") == nullptr)
      builder_.wire(fmt::format("Date: {}\r\n", date_text(input_.date)));
    if (id == nullptr || is_replaced_message_id(*id))
      fields_.add_message_id(input_.campaign_uid, input_.message_id_domain);
    if (header.find("To") == nullptr) fields_.compile_added("To", "<{{email}}>", {});
    if (!input_.unsubscribe_url.empty() && header.find("List-Unsubscribe") == nullptr) {
      const auto where = fmt::format("unsubscribe URL {}", input_.unsubscribe_url);
      fields_.compile_added("List-Unsubscribe", fmt::format("<{}>", input_.unsubscribe_url), where);
      // RFC 8058 section 3.1: one click is for HTTPS.
      const bool one_click = to_lower(input_.unsubscribe_url.substr(0, 8)) == "https://" &&
                             header.find("List-Unsubscribe-Post") == nullptr;
      if (one_click) builder_.wire("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
    }
    const bool uses_mime = part.has_content_type || !part.encoding_name.empty() ||
                           plan.sets_charset || !plan.sets_encoding.empty();
    if (uses_mime && header.find("MIME-Version") == nullptr) builder_.wire("MIME-Version: 1.0\r\n");
    put_missing_fields(part, plan);
  }

  void put_field(const HeaderField& field, const MimePart& part, const PartPlan& plan) {
    if (plan.sets_charset && field.is("Content-Type")) {
      put_content_type(part);
    } else if (!plan.sets_encoding.empty() && field.is("Content-Transfer-Encoding")) {
      builder_.wire(fmt::format("Content-Transfer-Encoding: {}\r\n", plan.sets_encoding));
    } else {
      fields_.compile(field);
    }
  }

  void put_content_type(const MimePart& part) {
    auto type = part.content_type;
    std::erase_if(type.parameters,
                  [](const auto& parameter) { return parameter.name == "charset"; });
    type.parameters.push_back({"charset", "utf-8", "charset=utf-8"});
    builder_.wire(mime_field("Content-Type", type));
  }

  void put_missing_fields(const MimePart& part, const PartPlan& plan) {
    if (plan.sets_charset && !part.has_content_type) put_content_type(part);
    if (!plan.sets_encoding.empty() && part.encoding_name.empty()) {
      builder_.wire(fmt::format("Content-Transfer-Encoding: {}\r\n", plan.sets_encoding));
    }
    builder_.wire("\r\n");
  }

  void put_part(const MimePart& part, const PartPlan& plan) {
    if (part.is_sealed) return builder_.wire(part.raw);
    for (const auto& field : part.header.fields) put_field(field, part, plan);
    put_missing_fields(part, plan);
    put_body(part, plan);
  }

  void put_body(const MimePart& part, const PartPlan& plan) {
    if (plan.has_8bit_slots) builder_.set_has_8bit_slots();
    if (part.is_multipart()) {
      for (size_t i = 0; i < part.parts.size(); ++i) {
        put_between(part, i);
        put_part(part.parts[i], *plan.parts[i]);
      }
      return put_between(part, part.parts.size());
    }
    switch (plan.form) {
      case PartPlan::Form::verbatim:         return builder_.wire(part.header.body);
      case PartPlan::Form::base64:           return builder_.wire(encode_base64_lines(plan.text));
      case PartPlan::Form::text:
      case PartPlan::Form::quoted_printable: return put_tokens(part, plan);
    }
  }

  void put_between(const MimePart& part, size_t index) {
    const auto text = part.between[index];
    if (part.is_sealed || line_bytes_max(text) <= wire_line_bytes_max) return builder_.wire(text);
    builder_.wire(cut_lines(text));
  }

  void put_tokens(const MimePart& part, const PartPlan& plan) {
    const bool encoded = plan.form == PartPlan::Form::quoted_printable;
    std::vector<uint32_t> open;
    for (const auto& token : plan.tokens) {
      if (token.kind == Kind::text) {
        builder_.wire(encoded ? encode_quoted_printable(token.text, &token == &plan.tokens.back())
                              : std::string(token.text));
        continue;
      }
      if (token.kind == Kind::close) {
        if (open.empty()) continue;  // an error told already
        builder_.end(open.back());
        open.pop_back();
        continue;
      }
      const uint16_t column = columns_.find(token.text).value_or(address_column);
      if (token.kind == Kind::variable) {
        const bool html = part.is_html() && token.is_escaped;
        if (encoded) {
          builder_.slot(column, html ? Escape::qp_html : Escape::qp_text);
        } else {
          builder_.slot(column, html ? Escape::html : Escape::text);
        }
      } else {
        open.push_back(builder_.begin_section(
            token.kind == Kind::section ? Op::section : Op::inverted, column));
      }
    }
    for (; !open.empty(); open.pop_back()) builder_.end(open.back());
  }

  const TemplateInput& input_;
  const bool is_shared_;
  bool has_kept_message_id_ = false;
  SourceText source_;
  Columns columns_;
  ProgramBuilder builder_;
  FieldCompiler fields_;
};

std::optional<TemplateError> check_octets(const TemplateInput& input) {
  const auto error = [&](unsigned line, std::string_view text) {
    return TemplateError{line, fmt::format("{}:{}: {}", input.path, line, text)};
  };
  if (input.columns.size() >= columns_max) {
    return TemplateError{0, fmt::format("the list has {} columns; {} is the most",
                                        input.columns.size(), columns_max - 1)};
  }
  if (input.message.empty()) return error(1, "the message is empty");
  if (input.message.size() > Template::message_bytes_max) {
    return error(1, fmt::format("the message has {} octets; {} is the most", input.message.size(),
                                Template::message_bytes_max));
  }
  if (const size_t nul = input.message.find('\0'); nul != input.message.npos) {
    const auto before = std::ranges::count(input.message.substr(0, nul), '\n');
    return error(1 + static_cast<unsigned>(before), "a NUL octet; no mail can carry it");
  }
  return {};
}

}  // namespace

std::expected<Template, std::vector<TemplateError>> Template::compile(const TemplateInput& input) {
  if (const auto error = check_octets(input)) return std::unexpected(std::vector{*error});
  // A Message-ID without tags stays where the message is the same for all.
  TemplateCompiler shared(input, true);
  auto program = shared.run();
  if (program && program->is_personal() && shared.has_kept_message_id())
    program = TemplateCompiler(input, false).run();
  if (!program) return std::unexpected(std::move(program.error()));
  return Template(std::move(*program));
}

Template Template::literal(std::string_view message, std::string_view sender) {
  ProgramBuilder builder;
  const Header header = scan_header(message);
  const HeaderField* id = header.find("Message-ID");
  if (id != nullptr && is_plain_message_id(unfold(id->value))) {
    const auto before = static_cast<size_t>(id->raw.data() - message.data());
    builder.wire(message.substr(0, before));
    builder.keep_message_id(id->name, unfold(id->value));
    message.remove_prefix(before + id->raw.size());
  }
  builder.wire(message);
  builder.end_message();
  if (!is_ascii(sender)) builder.set_has_utf8_envelope();
  builder.text(sender);
  return Template(std::move(builder).finish({}));
}

}  // namespace sluice::engine::mail
