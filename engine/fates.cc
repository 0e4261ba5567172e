#include "engine/fates.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "io/check.h"

namespace sluice::engine {

namespace {

report::Event event_of(const queue::Decision& decision) {
  switch (decision.kind) {
    case spool::OutcomeKind::deferred:
      return decision.in_doubt ? report::Event::in_doubt : report::Event::deferred;
    case spool::OutcomeKind::delivered: return report::Event::delivered;
    case spool::OutcomeKind::failed:    return report::Event::failed;
    case spool::OutcomeKind::expired:   return report::Event::expired;
    case spool::OutcomeKind::cancelled: return report::Event::cancelled;
  }
  CHECK(false);
}

}  // namespace

void Fates::attach(std::unique_ptr<spool::Journal> journal,
                   std::unique_ptr<report::TransactionLog> log) {
  journal_ = std::move(journal);
  log_ = std::move(log);
}

void Fates::record(const Route& route, const Mailing& mailing, Item item,
                   const queue::Decision& decision, report::LogEntry& entry) {
  ++item.attempts;
  const io::WallTime wall = loop_.wall();
  const bool waits = decision.kind == spool::OutcomeKind::deferred;
  id_.clear();
  fmt::format_to(std::back_inserter(id_), "{:016x}.{}", mailing.campaign->info().uid, item.number);
  entry.event = event_of(decision);
  entry.time = wall;
  entry.id = id_;
  entry.campaign = mailing.campaign->info().id;
  entry.attempt = item.attempts;
  if (waits) {
    entry.next_attempt = wall + decision.delay;
    entry.expires = mailing.accepted_at() + route.policy.expire.normal;
  }
  log_->append(entry);
  gather({&route, &mailing, item, decision.kind, false, wall + decision.delay,
          loop_.now() + decision.delay});
}

void Fates::record_unreadable(const Route& route, const Mailing& mailing, Item item) {
  ++item.attempts;
  id_.clear();
  fmt::format_to(std::back_inserter(id_), "{:016x}.{}", mailing.campaign->info().uid, item.number);
  log_->append(
      {.event = report::Event::failed,
       .time = loop_.wall(),
       .id = id_,
       .campaign = mailing.campaign->info().id,
       .attempt = item.attempts,
       .reason =
           "spool: the recipient's block is damaged (checksum); address and fields are lost"});
  gather({&route, &mailing, item, spool::OutcomeKind::failed, true, {}, {}});
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
  cycling_ = true;
  committing_.insert(committing_.end(), std::move_iterator(gathered_.begin()),
                     std::move_iterator(gathered_.end()));
  gathered_.clear();
  log_->flush();
}

/// Only now does the journal get them: it commits when it wants to.
void Fates::log_flushed() {
  for (const Recorded& recorded : committing_)
    journal_->append({.campaign = recorded.mailing->campaign->info().uid,
                      .recipient = recorded.item.number,
                      .attempt = recorded.item.attempts,
                      .kind = recorded.kind,
                      .next_attempt = recorded.next_attempt});
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

void Fates::tell(const Recorded& recorded) {
  auto of = std::find_if(tally_.mailings.begin(), tally_.mailings.end(),
                         [&](const Tally::Of& t) { return t.mailing == recorded.mailing; });
  if (of == tally_.mailings.end()) of = tally_.mailings.insert(of, {.mailing = recorded.mailing});
  const bool first = recorded.item.attempts == 1;
  if (recorded.kind == spool::OutcomeKind::deferred)
    of->deferred_change += first;
  else
    of->deferred_change -= !first;
  switch (recorded.kind) {
    case spool::OutcomeKind::delivered: ++of->delivered; return;
    case spool::OutcomeKind::failed:    ++(recorded.unreadable ? of->unreadable : of->failed); return;
    case spool::OutcomeKind::expired:   ++of->expired; return;
    case spool::OutcomeKind::cancelled: ++of->cancelled; return;
    case spool::OutcomeKind::deferred:  ++of->deferrals; break;
  }
  auto back = std::find_if(back_.begin(), back_.end(),
                           [&](const GiveBack& b) { return b.route == recorded.route; });
  if (back == back_.end()) back = back_.insert(back, {.route = recorded.route, .returned = {}});
  back->returned.push_back({recorded.mailing->shared_from_this(), recorded.item, recorded.due});
}

void Fates::storage(std::string& problem, const std::string& message) {
  problem = message;
  const std::string& worst = journal_problem_.empty() ? log_problem_ : journal_problem_;
  paused_ = !worst.empty();
  owner_.storage_changed(worst);
}

}  // namespace sluice::engine
