#include "engine/fates.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "io/check.h"

namespace sluice::engine {

namespace {

/// A cycle is due with so many outcomes, or so long after the first. A crash may repeat deliveries
/// whose outcomes are not durable: these keep them few.
constexpr size_t gathered_max = 16;
constexpr io::Duration gathering_max = std::chrono::milliseconds(5);

report::Event event_of(const queue::Decision& decision) {
  switch (decision.kind) {
    case spool::OutcomeKind::deferred:
      return decision.in_doubt ? report::Event::in_doubt : report::Event::deferred;
    case spool::OutcomeKind::delivered: return report::Event::delivered;
    case spool::OutcomeKind::failed:    return report::Event::failed;
    case spool::OutcomeKind::expired:   return report::Event::expired;
    case spool::OutcomeKind::cancelled: return report::Event::cancelled;
    case spool::OutcomeKind::in_doubt:
    case spool::OutcomeKind::intent:    return report::Event::in_doubt;
    case spool::OutcomeKind::waited:    break;
  }
  CHECK(false);
}

}  // namespace

void Fates::attach(std::unique_ptr<spool::Journal> journal,
                   std::unique_ptr<report::TransactionLog> log) {
  journal_ = std::move(journal);
  log_ = std::move(log);
}

void Fates::complete(report::LogEntry& entry, const Mailing& mailing, Item item) {
  id_.clear();
  fmt::format_to(std::back_inserter(id_), "{:016x}.{}", mailing.campaign->info().uid, item.number);
  entry.time = loop_.wall();
  entry.id = id_;
  entry.campaign = mailing.campaign->info().id;
  entry.attempt = item.attempts;
}

/// The ticket of the notice; 0: nobody is told.
uint64_t Fates::tell_sender(const queue::Decision& decision, Held& held,
                            const report::LogEntry& entry) {
  using enum mail::FailureCause;
  switch (decision.kind) {
    case spool::OutcomeKind::delivered:
      if (!decision.is_relayed) return 0;
      return notifier_.note({.kind = mail::NoticeKind::relayed}, held, entry);
    case spool::OutcomeKind::failed:   return notifier_.note({.cause = refused}, held, entry);
    case spool::OutcomeKind::expired:  return notifier_.note({.cause = expired}, held, entry);
    case spool::OutcomeKind::in_doubt: return notifier_.note({.cause = in_doubt}, held, entry);
    default:                           return 0;
  }
}

void Fates::gather_behind(uint64_t ticket, Recorded&& recorded) {
  if (ticket == 0) return gather(std::move(recorded));
  const auto after = std::ranges::upper_bound(behind_notices_, ticket, {}, &Behind::ticket);
  behind_notices_.insert(after, {ticket, std::move(recorded)});
}

void Fates::notices_queued(uint64_t ticket) {
  for (; !behind_notices_.empty() && behind_notices_.front().ticket <= ticket;
       behind_notices_.pop_front())
    gather(std::move(behind_notices_.front().recorded));
  loop_.request_turn();
}

void Fates::record(const Route& route, Held& held, Item item, const queue::Decision& decision,
                   SetbackPtr why, report::LogEntry& entry) {
  const Mailing& mailing = *held.mailing;
  complete(entry, mailing, item);
  entry.event = event_of(decision);
  if (decision.kind == spool::OutcomeKind::deferred) {
    counters_.observe_deferral(entry.stage, entry.code);
    if (!decision.is_last && !decision.is_held) entry.next_attempt = entry.time + decision.delay;
    entry.expires = mailing.accepted_at(item.number) + mailing.lifetime(route.policy);
  }
  log_->append(entry);
  const uint64_t ticket = tell_sender(decision, held, entry);
  gather_behind(
      ticket, {.route = &route,
               .mailing = &mailing,
               .uid = mailing.campaign->info().uid,
               .item = item,
               // What is held in doubt is stored as what it is: not known to have come to anything.
               .kind = decision.is_held ? spool::OutcomeKind::intent : decision.kind,
               .next_attempt = entry.time + (decision.is_held ? io::Duration{} : decision.delay),
               .due = loop_.now() + decision.delay,
               .why = std::move(why)});
}

void Fates::record_delay(const Route& route, Held& held, Item item, io::Instant next_attempt,
                         report::LogEntry& entry) {
  const Mailing& mailing = *held.mailing;
  complete(entry, mailing, item);
  entry.event = report::Event::delayed;
  entry.next_attempt = std::max(wall_of(next_attempt), entry.time);
  entry.expires = mailing.accepted_at(item.number) + mailing.lifetime(route.policy);
  const uint64_t ticket = notifier_.note(
      {.kind = mail::NoticeKind::delayed, .retry_until = entry.expires}, held, entry);
  if (ticket == 0) return;
  log_->append(entry);
  item.was_told = true;
  gather_behind(ticket, {.route = &route,
                         .uid = mailing.campaign->info().uid,
                         .item = item,
                         .kind = spool::OutcomeKind::deferred,
                         .is_note = true,
                         .next_attempt = entry.next_attempt});
}

void Fates::record_unreadable(const Route& route, const Mailing& mailing, Item item) {
  ++item.attempts;
  report::LogEntry entry{
      .event = report::Event::failed,
      .reason = "spool: the recipient's block is damaged (checksum); address and fields are lost"};
  complete(entry, mailing, item);
  log_->append(entry);
  gather({.route = &route,
          .mailing = &mailing,
          .uid = mailing.campaign->info().uid,
          .item = item,
          .kind = spool::OutcomeKind::failed,
          .unreadable = true});
}

void Fates::tell_waiting(const Route& route, const Mailing& mailing, Item item, io::Instant until,
                         report::LogEntry& entry) {
  complete(entry, mailing, item);
  counters_.observe_deferral(entry.stage, entry.code);
  entry.event = report::Event::deferred;
  entry.next_attempt = wall_of(until);
  entry.expires = mailing.accepted_at(item.number) + mailing.lifetime(route.policy);
  log_->append(entry);
}

void Fates::tell_held(const Route& route, const Mailing& mailing, Item item,
                      report::LogEntry& entry) {
  complete(entry, mailing, item);
  entry.event = report::Event::in_doubt;
  entry.expires = mailing.accepted_at(item.number) + mailing.lifetime(route.policy);
  log_->append(entry);
}

void Fates::intend(const Mailing& mailing, const std::vector<Item>& items, Intender& intender,
                   smtp::TransactionNumber transaction) {
  CHECK(!items.empty());
  for (const Item& item : items)
    gather({.uid = mailing.campaign->info().uid,
            .item = item,
            .kind = spool::OutcomeKind::intent,
            .is_note = true,
            .next_attempt = loop_.wall(),
            .transaction = transaction});
  gathered_.back().intender = &intender;  // the journal keeps the order
}

void Fates::forget(Intender& intender) {
  for (Recorded& recorded : gathered_)
    if (recorded.intender == &intender) recorded.intender = nullptr;
  for (Recorded& recorded : committing_)
    if (recorded.intender == &intender) recorded.intender = nullptr;
}

void Fates::note_wait(const Mailing& mailing, const Waited& waited) {
  gather({.uid = mailing.campaign->info().uid,
          .item = {.number = waited.one, .attempts = waited.attempts, .refusals = waited.refusals},
          .kind = spool::OutcomeKind::waited,
          .is_note = true,
          .next_attempt = waited.until,
          .at = waited.at});
}

void Fates::turn_ended(uint32_t sessions) {
  if (tally_.sessions != sessions || !tally_.mailings.empty()) {
    tally_.sessions = sessions;
    tally_.shard = shard_;
    mesh_.post(shard_, 0, Tally(tally_));
    tally_.mailings.clear();
  }
  for (GiveBack& back : back_) {
    const unsigned home = back.route->home;
    mesh_.post(shard_, home, std::move(back));
  }
  back_.clear();
  if (cycling_ || (gathered_.empty() && !log_->has_pending())) return;
  if (!is_due()) {
    if (!gather_timer_.is_armed()) loop_.timers().arm(gather_timer_, loop_.now() + gathering_max);
    return;
  }
  if (gather_timer_.is_armed()) loop_.timers().cancel(gather_timer_);
  is_time_up_ = false;
  cycling_ = true;
  committing_.insert(committing_.end(), std::move_iterator(gathered_.begin()),
                     std::move_iterator(gathered_.end()));
  gathered_.clear();
  log_->flush();
}

bool Fates::is_due() const {
  return is_time_up_ || gathered_.size() >= gathered_max ||
         std::ranges::any_of(gathered_,
                             [](const Recorded& one) { return one.intender != nullptr; });
}

/// Only now does the journal get them: it commits when it wants to.
void Fates::log_flushed() {
  for (const Recorded& recorded : committing_)
    journal_->append({.campaign = recorded.uid,
                      .recipient = recorded.item.number,
                      .attempt = recorded.item.attempts,
                      .kind = recorded.kind,
                      .next_attempt = recorded.next_attempt,
                      .refusals = recorded.item.refusals,
                      .transfers = recorded.item.transfers,
                      .was_told = recorded.item.was_told,
                      .at = recorded.at});
  journal_->commit();
  cycling_ = !committing_.empty();
  loop_.request_turn();
}

void Fates::journal_committed(uint64_t position) {
  for (; committed_ < position; ++committed_) {
    tell(committing_.front());
    committing_.pop_front();
  }
  cycling_ = !committing_.empty();
  loop_.request_turn();
}

void Fates::tell(Recorded& recorded) {
  if (recorded.intender) recorded.intender->intent_durable(recorded.transaction);
  if (recorded.is_note) return;
  count(recorded);
  auto of = std::find_if(tally_.mailings.begin(), tally_.mailings.end(),
                         [&](const Tally::Of& t) { return t.mailing == recorded.mailing; });
  if (of == tally_.mailings.end()) of = tally_.mailings.insert(of, {.mailing = recorded.mailing});
  const bool was_deferred = std::exchange(recorded.item.was_deferred, true);
  const bool waits =
      recorded.kind == spool::OutcomeKind::deferred || recorded.kind == spool::OutcomeKind::intent;
  of->deferred_change += waits - was_deferred;
  switch (recorded.kind) {
    case spool::OutcomeKind::delivered: ++of->delivered; return;
    case spool::OutcomeKind::failed:    ++(recorded.unreadable ? of->unreadable : of->failed); return;
    case spool::OutcomeKind::expired:   ++of->expired; return;
    case spool::OutcomeKind::cancelled: ++of->cancelled; return;
    case spool::OutcomeKind::in_doubt:  ++of->in_doubt; return;
    case spool::OutcomeKind::deferred:
    case spool::OutcomeKind::intent:
    case spool::OutcomeKind::waited:    ++of->deferrals; break;
  }
  const bool is_held_in_doubt = recorded.kind == spool::OutcomeKind::intent;
  auto back = std::find_if(back_.begin(), back_.end(),
                           [&](const GiveBack& b) { return b.route == recorded.route; });
  if (back == back_.end()) back = back_.insert(back, {.route = recorded.route, .returned = {}});
  back->returned.push_back({.mailing = recorded.mailing->shared_from_this(),
                            .item = recorded.item,
                            .is_held_in_doubt = is_held_in_doubt,
                            .due = recorded.due,
                            .why = std::move(recorded.why)});
}

void Fates::count(const Recorded& recorded) {
  switch (recorded.kind) {
    case spool::OutcomeKind::delivered: {
      const io::Duration took = loop_.wall() - recorded.mailing->accepted_at(recorded.item.number);
      counters_.delivered.add();
      counters_.delivery.observe(
          static_cast<uint64_t>(std::max(took, io::Duration{}) / std::chrono::microseconds(1)));
      return;
    }
    case spool::OutcomeKind::failed:
      (recorded.unreadable ? counters_.unreadable : counters_.failed).add();
      return;
    case spool::OutcomeKind::expired:   return counters_.expired.add();
    case spool::OutcomeKind::cancelled: return counters_.cancelled.add();
    case spool::OutcomeKind::in_doubt:  return counters_.in_doubt.add();
    case spool::OutcomeKind::deferred:
    case spool::OutcomeKind::intent:    return counters_.deferrals.add();
    case spool::OutcomeKind::waited:    return;
  }
}

void Fates::storage(std::string& problem, const std::string& message) {
  problem = message;
  const std::string& worst = !journal_problem_.empty() ? journal_problem_
                             : !log_problem_.empty()   ? log_problem_
                                                       : notice_problem_;
  paused_ = !worst.empty();
  owner_.storage_changed(worst);
}

}  // namespace sluice::engine
