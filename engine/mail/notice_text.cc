#include "engine/mail/notice_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/mail/charset.h"
#include "engine/mail/date_text.h"
#include "engine/mail/harmless_text.h"
#include "engine/mail/notice_status.h"

namespace sluice::engine::mail {
namespace {

using smtp::Stage;

constexpr std::string_view indent = "    ", quote_indent = "        ";

std::string shown_address(std::string_view address) {
  if (!is_utf8(address)) return harmless(address);
  std::string shown(address);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  return shown;
}

std::string server_of(const NoticeRecipient& recipient) {
  if (recipient.host.empty()) return "the other side";
  if (recipient.remote.empty() || recipient.remote == recipient.host)
    return "the server " + harmless(recipient.host);
  return fmt::format("the server {} ({})", harmless(recipient.host), harmless(recipient.remote));
}

std::string_view doing(Stage stage) {
  switch (stage) {
    case Stage::dns:       return "while looking up where mail for this address goes";
    case Stage::connect:   return "while connecting to it";
    case Stage::greeting:  return "while waiting for its greeting";
    case Stage::starttls:  return "while setting up encryption";
    case Stage::block:     return "while the message was being sent";
    case Stage::final_dot: return "while waiting for its answer to the message";
    default:               return "while talking to it";
  }
}

/// By what the status says (RFC 3463), for the person who wrote the message.
std::string_view advice_for(const smtp::EnhancedCode& status) {
  const auto is = [&](uint16_t subject, uint16_t detail) {
    return status.subject == subject && status.detail == detail;
  };
  if (is(1, 10)) return "This domain accepts no mail at all: check the part behind the @.";
  if (is(1, 2) || is(4, 3) || is(4, 4) || is(4, 1))
    return "Check the part of the address behind the @. If it is right, their mail system has a "
           "problem: try again later, or reach them in another way.";
  if (status.subject == 1)
    return "Check the address for mistakes. If it is right, it may not be in use any more: ask for "
           "the present one in another way.";
  if (is(2, 2))
    return "The mailbox is full. Reach them in another way, and send the message again later.";
  if (is(2, 3) || is(3, 4))
    return "The message is too large for them. Make it smaller, or send a link in place of an "
           "attachment.";
  if (status.subject == 2)
    return "The mailbox takes no mail at present. Reach the person in another way.";
  if (is(6, 7)) return "Their mail system does not know such addresses: ask for another one.";
  if (status.subject == 7)
    return "Their mail system refuses it by its rules. Its answer above may say why; show it to "
           "your own postmaster.";
  if (status.status == 4) return "Send the message again later, or reach them in another way.";
  return "Its answer above should say why. If it does not help you, show it to your own "
         "postmaster.";
}

}  // namespace

/// What parsers of notices, and people, have known for decades.
std::string_view NoticeText::subject() const {
  switch (request_.kind) {
    case NoticeKind::failed:
      return request_.is_for_postmaster ? "Postmaster Warning: Undelivered Mail"
                                        : "Undelivered Mail Returned to Sender";
    case NoticeKind::delayed: return "Delayed Mail (still being retried)";
    case NoticeKind::relayed: return "Successful Mail Delivery Report";
  }
  return {};
}

void NoticeText::begin(std::string& out, std::span<const NoticeRecipient> recipients) const {
  const std::string_view whom = recipients.size() == 1 ? "this recipient" : "these recipients";
  const auto in_doubt =
      std::ranges::count(recipients, FailureCause::in_doubt, &NoticeRecipient::cause);
  append_wrapped(out, fmt::format("This is the mail system at {}.", harmless(request_.hostname)),
                 "");
  out += "\r\n";
  if (request_.is_for_postmaster)
    append_wrapped(out,
                   "The message below has no sender to whom it could be returned: it is a notice "
                   "itself, or its sender's address cannot be used. So this comes to you, the "
                   "postmaster.",
                   "");
  if (request_.is_for_postmaster) out += "\r\n";
  const std::string_view whose = request_.is_for_postmaster ? "The" : "Your";
  const std::string sent = date_text(request_.arrival);
  switch (request_.kind) {
    case NoticeKind::failed:
      append_wrapped(
          out,
          in_doubt == std::ssize(recipients)
              ? fmt::format("It is not known whether {} message of {} reached {}. It will not be "
                            "sent again.",
                            request_.is_for_postmaster ? "the" : "your", sent, whom)
              : fmt::format("{} message of {} was not delivered{} to {}. It will not be tried "
                            "again.",
                            whose, sent, in_doubt > 0 ? ", or not surely," : "", whom),
          "");
      break;
    case NoticeKind::delayed:
      append_wrapped(out,
                     fmt::format("THIS IS A WARNING ONLY. YOU DO NOT NEED TO SEND THE MESSAGE "
                                 "AGAIN. {} message of {} could not be delivered to {} yet. It is "
                                 "still being tried.",
                                 whose, sent, whom),
                     "");
      break;
    case NoticeKind::relayed:
      append_wrapped(out,
                     fmt::format("As you asked to be told: your message of {} was handed on to {}.",
                                 sent, whom),
                     "");
      break;
  }
}

void NoticeText::recipient(std::string& out, const NoticeRecipient& recipient) const {
  out += "\r\n";
  append_wrapped(out, fmt::format("<{}>", shown_address(recipient.address)), "");
  if (request_.kind == NoticeKind::relayed) {
    append_wrapped(out,
                   fmt::format("It was taken at {} by {}, which does not promise such reports. You "
                               "may or may not hear from there.",
                               date_text(recipient.last_attempt), server_of(recipient)),
                   indent);
    return;
  }
  attempts(out, recipient);
  last_words(out, recipient);
  advice(out, recipient);
}

void NoticeText::attempts(std::string& out, const NoticeRecipient& recipient) const {
  const bool has_expired =
      request_.kind == NoticeKind::failed && recipient.cause == FailureCause::expired;
  if (has_expired && recipient.attempts == 0)
    append_wrapped(out,
                   fmt::format("We gave up: it has waited since {} and could not be tried at all.",
                               date_text(request_.arrival)),
                   indent);
  else if (has_expired)
    append_wrapped(out,
                   fmt::format("We gave up after {} {} since {}, the last one at {}.",
                               recipient.attempts, recipient.attempts == 1 ? "try" : "tries",
                               date_text(request_.arrival), date_text(recipient.last_attempt)),
                   indent);
  else if (recipient.attempts == 1)
    append_wrapped(out, fmt::format("Tried once, at {}.", date_text(recipient.last_attempt)),
                   indent);
  else if (recipient.attempts > 1)
    append_wrapped(out,
                   fmt::format("Tried {} times, the last time at {}.", recipient.attempts,
                               date_text(recipient.last_attempt)),
                   indent);
}

void NoticeText::last_words(std::string& out, const NoticeRecipient& recipient) const {
  const std::string server = server_of(recipient);
  if (request_.kind == NoticeKind::failed && recipient.cause == FailureCause::in_doubt)
    append_wrapped(out,
                   fmt::format("The message was sent to {} whole, but its answer never came. So "
                               "the message may have arrived, or it may not: we do not know.",
                               server),
                   indent);
  if (recipient.code != 0 && !recipient.text.empty()) {
    append_wrapped(out, fmt::format("What {} said:", server), indent);
    std::string_view rest = recipient.text;
    for (size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1))
      append_wrapped(out, harmless(rest.substr(0, end)), quote_indent);
    append_wrapped(out, harmless(rest), quote_indent);
  } else if (!recipient.reason.empty()) {
    const bool was_tried = recipient.attempts > 0;
    append_wrapped(
        out,
        !was_tried ? "The reason:" : fmt::format("With {}, {}:", server, doing(recipient.stage)),
        indent);
    append_wrapped(out, harmless(recipient.reason), quote_indent);
  }
}

void NoticeText::advice(std::string& out, const NoticeRecipient& recipient) const {
  if (request_.kind == NoticeKind::delayed)
    return append_wrapped(
        out, fmt::format("It will be tried again until {}.", date_text(recipient.retry_until)),
        indent);
  if (request_.is_for_postmaster) return;
  if (recipient.cause == FailureCause::in_doubt)
    return append_wrapped(out,
                          "Ask whether it arrived before you send it again, or it may be there "
                          "twice.",
                          indent);
  append_wrapped(out, advice_for(status_of(recipient, request_.kind)), indent);
}

void NoticeText::end(std::string& out) const {
  out += "\r\n";
  const bool is_whole = request_.returned != nullptr && request_.returned->is_whole;
  append_wrapped(
      out,
      fmt::format("A report for mail programs is attached, and {} of {} message.",
                  is_whole ? "a copy" : "the header", request_.is_for_postmaster ? "the" : "your"),
      "");
}

}  // namespace sluice::engine::mail
