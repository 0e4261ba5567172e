#include "engine/smtp/trouble.h"

namespace sluice::engine::smtp {
namespace {

constexpr uint16_t service_closing = 421;
constexpr uint16_t too_many_recipients = 452;
constexpr uint16_t too_many_recipients_rfc821 = 552;

// How far a refusal of this stage's command reaches.
Scope scope_of(Stage stage) {
  switch (stage) {
    case Stage::mail:
    case Stage::data:
    case Stage::block:
    case Stage::final_dot: return Scope::message;
    case Stage::rcpt:      return Scope::recipient;
    case Stage::rset:
    case Stage::quit:
    case Stage::idle:      return Scope::session;
    default:               return Scope::host;
  }
}

Course course_of_refusal(Stage stage) {
  switch (stage) {
    case Stage::ehlo:      // there is HELO
    case Stage::starttls:  // and mail in the clear, where that is allowed
    case Stage::mail:
    case Stage::rcpt:
    case Stage::data:
    case Stage::final_dot: return Course::refuse;
    // RFC 5321 section 4.1.1.4 knows no reply before the final dot. It is the verdict on the
    // message, but the peer may go on reading content or take it for commands: nothing more can be
    // said on this connection.
    case Stage::block: return Course::refuse_end;
    default:           return Course::end;
  }
}

bool is_too_many_recipients(const Reply& reply) {
  const EnhancedCode enhanced = reply.enhanced();
  if (enhanced) return enhanced.subject == 5 && enhanced.detail == 3;  // RFC 3463 section 3.6
  return reply.code == too_many_recipients || reply.code == too_many_recipients_rfc821;
}

Ruling nonsense(Stage stage, std::string_view reason) {
  // Whoever does not speak SMTP in the beginning never will.
  return {Course::end, Result::transient, stage <= Stage::auth ? Scope::host : Scope::session,
          reason};
}

}  // namespace

Ruling rule(Stage awaited, const Reply& reply, bool recipients_accepted) {
  if (reply.code == service_closing) {
    return {
        Course::end, Result::transient, awaited <= Stage::auth ? Scope::host : Scope::session, {}};
  }
  if (awaited == Stage::idle) return nonsense(awaited, "a reply that nobody asked for");

  const int reply_class = reply.code / 100;
  if (reply_class == 2 || reply_class == 3) {
    if (awaited == Stage::block)
      return nonsense(awaited, "a reply to content that was not sent whole");
    if (reply_class == (awaited == Stage::data ? 3 : 2)) return {};
    return nonsense(awaited, reply_class == 2 ? "2xx where 354 is due" : "3xx where 2xx is due");
  }
  const Result result = reply_class == 4 ? Result::transient : Result::permanent;
  if (awaited == Stage::rcpt && recipients_accepted && is_too_many_recipients(reply))
    return {Course::split, Result::transient, Scope::recipient, {}};
  // EHLO is refused for good or not at all: 4xx is no reason to try HELO.
  if (awaited == Stage::ehlo && reply_class == 4) return {Course::end, result, Scope::host, {}};
  return {course_of_refusal(awaited), result, scope_of(awaited), {}};
}

Verdict verdict_of(const Ruling& ruling, Stage awaited, const Reply& reply) {
  Verdict verdict{.result = ruling.result,
                  .scope = ruling.scope,
                  .stage = awaited,
                  .text = reply.text,
                  .reason = ruling.reason};
  // A code that makes no sense is shown in the text, and never taken for a meaning.
  if (ruling.reason.empty()) {
    verdict.code = reply.code;
    verdict.enhanced = reply.enhanced();
  }
  return verdict;
}

}  // namespace sluice::engine::smtp
