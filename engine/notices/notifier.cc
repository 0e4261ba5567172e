#include "engine/notices/notifier.h"

#include <algorithm>

namespace sluice::engine::notices {

namespace {
constexpr io::Duration gather_time = std::chrono::seconds(1);

/// The log has `connect: connection refused`; a notice names the phase by itself.
std::string_view without_phase(const report::LogEntry& entry) {
  std::string_view reason = entry.reason;
  const std::string_view phase = smtp::name(entry.stage);
  if (reason.starts_with(phase) && reason.substr(phase.size()).starts_with(": "))
    reason.remove_prefix(phase.size() + 2);
  return reason;
}

}  // namespace

Notifier::Notifier(io::EventLoop& loop, const Options& options, Owner& owner)
    : loop_(loop),
      owner_(owner),
      hostname_(options.hostname),
      postmaster_(options.postmaster),
      notices_(options.notices),
      box_(loop, options.spool, options.hostname, *this) {
  timer_.bind<&Notifier::gathered>(this);
}

uint64_t Notifier::note(const News& news, Held& held, const report::LogEntry& entry) {
  if (!may_tell(*held.mailing)) return 0;
  Addressee to = addressee_of({.kind = news.kind,
                               .notify = held.dsn.notify,
                               .policy = held.mailing->message.notices,
                               .sender = held.sender,
                               .recipient = held.recipient.address},
                              postmaster_);
  if (to.whom == Whom::nobody) return 0;
  Group& group = this->group(*held.mailing, news.kind, std::move(to), held);
  Concerned& concerned = group.concerned.emplace_back();
  concerned.address = held.recipient.address;
  smtp::read_xtext(held.dsn.original_recipient, concerned.original_recipient);
  concerned.id = entry.id;
  concerned.host = entry.host;
  if (entry.remote != nullptr) concerned.remote = entry.remote->text();
  concerned.text = entry.text;
  concerned.reason = without_phase(entry);
  concerned.recipient = {.address = concerned.address,
                         .original_recipient = concerned.original_recipient,
                         .id = concerned.id,
                         .cause = news.cause,
                         .attempts = entry.attempt,
                         .last_attempt = entry.time,
                         .retry_until = news.retry_until,
                         .stage = entry.stage,
                         .host = concerned.host,
                         .remote = concerned.remote,
                         .code = entry.code,
                         .enhanced = entry.enhanced,
                         .text = concerned.text,
                         .reason = concerned.reason};
  return group.ticket;
}

/// Those gathered in a second are few messages, or many recipients of few: the newest is looked at
/// first.
Notifier::Group& Notifier::group(const Mailing& mailing, mail::NoticeKind kind, Addressee&& to,
                                 Held& held) {
  const auto same = std::find_if(groups_.rbegin(), groups_.rend(), [&](const Group& g) {
    return g.mailing == &mailing && g.letter == held.letter && g.kind == kind &&
           g.to.address == to.address;
  });
  if (same != groups_.rend()) return *same;
  if (groups_.empty()) loop_.timers().arm(timer_, loop_.now() + gather_time);
  Group& group = groups_.emplace_back();
  group.ticket = ++tickets_;
  group.mailing = &mailing;
  group.letter = held.letter;
  group.envelope_id = held.dsn.envelope_id;
  group.arrival = mailing.accepted_at(held.item.number);
  group.to = std::move(to);
  group.kind = kind;
  held.begin_merge();
  group.is_tls_required = (held.recipient.flags & Recipient::needs_requiretls) != 0;
  const bool is_whole = held.dsn.returned == smtp::ReturnedContent::full && !group.is_tls_required;
  group.returned = mail::read_returned(held.merge, is_whole);
  return group;
}

void Notifier::gathered() {
  for (; !groups_.empty(); groups_.pop_front()) compose(groups_.front());
  box_.flush();
}

void Notifier::hurry() {
  loop_.timers().cancel(timer_);
  if (!groups_.empty()) gathered();
}

void Notifier::compose(const Group& group) {
  std::vector<mail::NoticeRecipient> recipients;
  for (const Concerned& concerned : group.concerned) recipients.push_back(concerned.recipient);
  const mail::NoticeRequest request{.kind = group.kind,
                                    .hostname = hostname_,
                                    .to = group.to.address,
                                    .is_for_postmaster = group.to.whom == Whom::postmaster,
                                    .envelope_id = group.envelope_id,
                                    .arrival = group.arrival,
                                    .now = loop_.wall(),
                                    .random = loop_.proactor().random(),
                                    .recipients = recipients,
                                    .returned = &group.returned};
  uint64_t position = 0;
  for (mail::ComposedNotice& notice : mail::compose_notices(request))
    position = box_.post({group.to.address, std::move(notice), group.is_tls_required});
  queued_.push_back({group.ticket, position});
}

void Notifier::notices_durable(uint64_t position) {
  uint64_t ticket = 0;
  for (; !queued_.empty() && queued_.front().position <= position; queued_.pop_front())
    ticket = queued_.front().ticket;
  if (ticket != 0) owner_.notices_queued(ticket);
}

}  // namespace sluice::engine::notices
