#include "engine/mail/part_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/mail/base64.h"
#include "engine/mail/charset.h"
#include "engine/mail/quoted_printable.h"
#include "engine/mail/text_shape.h"
#include "engine/mail/wire_line.h"

namespace sluice::engine::mail {
namespace {

using Form = PartPlan::Form;
using Kind = MustacheToken::Kind;

DecodedText decode_base64_text(std::string_view code) {
  DecodedText decoded;
  size_t digits = 0;
  unsigned line = 0;
  for (const char c : code) {
    if (c == '\n') decoded.lines.push_back({digits * 6 / 8, ++line});
    digits += c > ' ' && c != '=';
  }
  decoded.text = decode_base64(code);
  return decoded;
}

DecodedText decode(const MimePart& part) {
  switch (part.encoding) {
    case TransferEncoding::quoted_printable: return decode_quoted_printable(part.header.body);
    case TransferEncoding::base64:           return decode_base64_text(part.header.body);
    default:                                 return {std::string(part.header.body), {}};
  }
}

class Planner {
 public:
  Planner(const MimePart& part, const Columns& columns, SourceText& source)
      : part_(part), columns_(columns), source_(source), plan_(std::make_unique<PartPlan>()) {}

  std::unique_ptr<PartPlan> run() {
    if (part_.is_multipart()) {
      plan_multipart();
    } else if (part_.is_sealed) {
      check_sealed();
    } else if (part_.is_text() && part_.encoding != TransferEncoding::other) {
      plan_text();
    } else {
      plan_other();
    }
    // RFC 3030 would be needed for it; lines and octets are seen to, so it is one of the others by
    // now.
    if (part_.encoding_name == "binary" && plan_->sets_encoding.empty() && !part_.is_sealed) {
      plan_->sets_encoding = plan_->has_8bit ? "8bit" : "7bit";
    }
    return std::move(plan_);
  }

 private:
  void fail(std::string_view text) { source_.fail(part_.raw, text); }

  void plan_multipart() {
    for (const auto& part : part_.parts) {
      plan_->parts.push_back(plan_part(part, columns_, source_));
      plan_->has_8bit = plan_->has_8bit || plan_->parts.back()->has_8bit;
    }
    for (const auto text : part_.between) {
      if (part_.is_sealed) check_lines(text, "within multipart/signed");
    }
    // RFC 2045 section 6.4: a multipart is 8bit as soon as one of its parts is.
    if (plan_->has_8bit && part_.encoding_name == "7bit" && !part_.is_sealed)
      plan_->sets_encoding = "8bit";
  }

  // Nothing in here can be changed, so nothing may need it.
  void check_sealed() {
    const auto header = part_.raw.substr(0, part_.raw.size() - part_.header.body.size());
    if (has_mustache(header) || (part_.is_text() && has_mustache(decode(part_).text))) {
      fail("no tags in multipart/signed: they would break its signature");
    }
    check_lines(part_.raw, "within multipart/signed");
    plan_->has_8bit = !is_ascii(part_.raw);
  }

  void check_lines(std::string_view text, std::string_view where) {
    if (const auto longest = line_bytes_max(text); longest > wire_line_bytes_max) {
      fail(fmt::format("a line of {} octets {}; {} is the most that SMTP takes", longest, where,
                       wire_line_bytes_max));
    }
  }

  void plan_other() {
    const auto body = part_.header.body;
    plan_->has_8bit = !is_ascii(body);
    if (part_.encoding_name == "binary" && !part_.content_type.value.starts_with("message/")) {
      return fail("Content-Transfer-Encoding: binary cannot be sent over SMTP; use base64");
    }
    if (line_bytes_max(body) <= wire_line_bytes_max) return;
    // RFC 2046 section 5.2.1 allows no encoding there.
    if (part_.content_type.value.starts_with("message/"))
      return check_lines(body, "within an attached message");
    if (part_.encoding == TransferEncoding::other)
      return check_lines(body, fmt::format("in a part that is {}", part_.encoding_name));
    encode_base64(decode(part_).text);
  }

  void encode_base64(std::string octets) {
    plan_->form = Form::base64;
    plan_->text = std::move(octets);
    plan_->has_8bit = false;
    if (part_.encoding != TransferEncoding::base64) plan_->sets_encoding = "base64";
  }

  void plan_text() {
    auto decoded = decode(part_);
    const auto charset = part_.content_type.parameter("charset");
    auto text = to_utf8(charset, decoded.text);
    if (!text) {
      if (has_mustache(decoded.text))
        return fail(fmt::format(
            "text with tags that is not of charset {}, or that charset is not known here",
            charset));
      return plan_opaque_text(std::move(decoded.text));
    }
    const bool has_tags = has_mustache(*text);
    const bool identity = part_.encoding == TransferEncoding::identity;
    // What says it is ASCII, or says nothing, and is not: called UTF-8 when it is.
    const bool unlabelled = identity && is_utf8_charset(charset) && !charset.starts_with("utf") &&
                            !charset.starts_with("UTF") && !is_ascii(*text);
    if (unlabelled && !is_utf8(*text)) {
      if (has_tags)
        return fail(
            "text with tags that is neither ASCII nor UTF-8; its Content-Type must name its "
            "charset");
      return plan_opaque_text(std::move(decoded.text));
    }
    if (!has_tags && !unlabelled) return plan_opaque_text(std::move(decoded.text));
    plan_->text = to_crlf(*text);
    auto scanned = scan_mustache(plan_->text, true);
    for (const auto& error : scanned.errors)
      source_.fail(line_of(decoded, error.offset), error.text);
    plan_->tokens = std::move(scanned.tokens);
    check_columns(decoded);
    plan_->sets_charset = !is_utf8_charset(charset);
    choose_form();
  }

  // Text whose characters are not looked at.
  void plan_opaque_text(std::string decoded) {
    const auto body = part_.header.body;
    plan_->has_8bit = !is_ascii(body);
    if (line_bytes_max(body) <= wire_line_bytes_max) {
      if (plan_->has_8bit && part_.encoding == TransferEncoding::identity &&
          part_.encoding_name != "8bit")
        plan_->sets_encoding = "8bit";
      return;
    }
    if (part_.encoding == TransferEncoding::base64) return encode_base64(std::move(decoded));
    plan_->text = std::move(decoded);
    plan_->tokens = {{Kind::text, true, plan_->text, 0}};
    encode_quoted_printable();
  }

  void encode_quoted_printable() {
    plan_->form = Form::quoted_printable;
    plan_->has_8bit = plan_->has_8bit_slots = false;
    if (part_.encoding != TransferEncoding::quoted_printable)
      plan_->sets_encoding = "quoted-printable";
  }

  void check_columns(const DecodedText& decoded) {
    for (const auto& token : plan_->tokens) {
      if (token.kind == Kind::text || token.kind == Kind::close || columns_.find(token.text))
        continue;
      source_.fail(line_of(decoded, token.offset), columns_.explain_unknown(token.text));
    }
  }

  void choose_form() {
    const auto shape =
        measure_text(plan_->tokens, columns_, part_.is_html(), part_.boundary_bytes_min);
    const bool has_8bit = !is_ascii(plan_->text) || shape.has_8bit_values;
    if (has_8bit && !equals_ignoring_case(part_.content_type.parameter("charset"), "utf-8"))
      plan_->sets_charset = true;
    const bool identity = part_.encoding == TransferEncoding::identity && shape.is_known &&
                          shape.line_bytes_max <= wire_line_bytes_max && !shape.may_hold_boundary;
    if (!identity) {
      if (!shape.is_known) plan_->sets_charset = true;
      return encode_quoted_printable();
    }
    plan_->form = Form::text;
    plan_->has_8bit = has_8bit;
    plan_->has_8bit_slots = shape.has_8bit_values;
    if (has_8bit && part_.encoding_name != "8bit") plan_->sets_encoding = "8bit";
  }

  // The line of the source that `offset` of the plan's text came from.
  unsigned line_of(const DecodedText& decoded, size_t offset) const {
    const auto before = std::string_view(plan_->text).substr(0, offset);
    const auto newlines = std::ranges::count(before, '\n');
    const unsigned first = source_.line_of(part_.header.body);
    if (part_.encoding == TransferEncoding::identity) {
      return first + static_cast<unsigned>(newlines);
    }
    // Recoding moves octets about, but leaves lines what they are.
    size_t at = 0;
    for (auto i = newlines; i > 0; --i) at = decoded.text.find('\n', at) + 1;
    at += before.size() - (before.rfind('\n') + 1);
    const auto next = std::ranges::upper_bound(decoded.lines, at, {}, &DecodedText::Line::offset);
    return first + (next == decoded.lines.begin() ? 0 : std::prev(next)->line);
  }

  const MimePart& part_;
  const Columns& columns_;
  SourceText& source_;
  std::unique_ptr<PartPlan> plan_;
};

}  // namespace

std::unique_ptr<PartPlan> plan_part(const MimePart& part, const Columns& columns,
                                    SourceText& source) {
  return Planner(part, columns, source).run();
}

}  // namespace sluice::engine::mail
