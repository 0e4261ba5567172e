#include "engine/mail/notice_status.h"

#include <fmt/format.h>

#include "engine/mail/date_text.h"
#include "engine/mail/harmless_text.h"

namespace sluice::engine::mail {
namespace {

using smtp::EnhancedCode;
using smtp::Stage;

/// Of an attempt that no reply ended (RFC 3463 section 3.5).
EnhancedCode status_without_reply(const NoticeRecipient& recipient) {
  if (recipient.attempts == 0) return {4, 4, 7};
  switch (recipient.stage) {
    case Stage::dns:      return {4, 4, 3};
    case Stage::connect:
    case Stage::greeting: return {4, 4, 1};
    case Stage::starttls: return {4, 7, 0};
    default:              return {4, 4, 2};
  }
}

std::string_view action_of(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::failed:  return "failed";
    case NoticeKind::delayed: return "delayed";
    case NoticeKind::relayed: return "relayed";
  }
  return {};
}

}  // namespace

EnhancedCode status_of(const NoticeRecipient& recipient, NoticeKind kind) {
  const auto reply_class = static_cast<uint8_t>(recipient.code / 100);
  EnhancedCode status = recipient.enhanced;
  // A class that contradicts the reply's code says nothing; nor does what follows it.
  if (recipient.code != 0 && status.status != reply_class) status = {reply_class, 0, 0};
  if (!status) status = status_without_reply(recipient);
  if (kind == NoticeKind::relayed && status.status != 2) return {2, 0, 0};
  if (kind == NoticeKind::delayed) status.status = 4;
  if (kind != NoticeKind::failed) return status;
  if (status.status != 4 && status.status != 5) return {5, 0, 0};
  // What was given up for its age is no refusal, whatever the last reply was.
  if (recipient.cause != FailureCause::refused) status.status = 4;
  return status;
}

std::string diagnostic_of(const NoticeRecipient& recipient) {
  if (recipient.code != 0 && !recipient.text.empty()) {
    std::string out = "smtp; ";
    std::string_view rest = recipient.text;
    for (size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) {
      append_harmless(out, rest.substr(0, end));
      out += '\n';
    }
    append_harmless(out, rest);
    return out;
  }
  if (recipient.reason.empty()) return {};
  std::string out = "X-Sluice; ";
  if (recipient.attempts > 0) out += fmt::format("{}: ", smtp::name(recipient.stage));
  append_harmless(out, recipient.reason);
  return out;
}

void append_message_status(std::string& out, const NoticeRequest& request) {
  append_field(out, "Reporting-MTA", "dns; " + harmless(request.hostname));
  if (!request.envelope_id.empty())
    append_field(out, "Original-Envelope-Id", harmless(request.envelope_id));
  append_field(out, "Arrival-Date", date_text(request.arrival));
  out += "\r\n";
}

void append_recipient_status(std::string& out, const NoticeRequest& request,
                             const NoticeRecipient& recipient, bool with_utf8) {
  std::string value;
  if (const size_t type_end = recipient.original_recipient.find(';');
      type_end != std::string_view::npos) {
    // A type other than rfc822 and utf-8 has addresses of another syntax.
    const std::string type = harmless(recipient.original_recipient.substr(0, type_end));
    const auto address = recipient.original_recipient.substr(type_end + 1);
    if (type == "rfc822" || type == "utf-8")
      append_typed_address(value, address, with_utf8);
    else
      value = type + "; " + harmless(address);
    append_field(out, "Original-Recipient", value);
    value.clear();
  }
  append_typed_address(value, recipient.address, with_utf8);
  append_field(out, "Final-Recipient", value);
  append_field(out, "Action", action_of(request.kind));
  const EnhancedCode status = status_of(recipient, request.kind);
  append_field(out, "Status",
               fmt::format("{}.{}.{}", status.status, status.subject, status.detail));
  if (!recipient.host.empty()) append_field(out, "Remote-MTA", "dns; " + harmless(recipient.host));
  if (const std::string diagnostic = diagnostic_of(recipient); !diagnostic.empty())
    append_field(out, "Diagnostic-Code", diagnostic);
  if (recipient.attempts > 0)
    append_field(out, "Last-Attempt-Date", date_text(recipient.last_attempt));
  if (request.kind == NoticeKind::delayed)
    append_field(out, "Will-Retry-Until", date_text(recipient.retry_until));
  if (!recipient.id.empty()) append_field(out, "X-Sluice-ID", harmless(recipient.id));
  out += "\r\n";
}

}  // namespace sluice::engine::mail
