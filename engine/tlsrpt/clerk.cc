#include "engine/tlsrpt/clerk.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "engine/tlsrpt/day_text.h"
#include "engine/tlsrpt/record.h"

namespace sluice::engine::tlsrpt {
namespace {

std::string name_of(Day day, const std::string& domain) {
  return fmt::format("TLS report of {} to {}", date_text(day), domain);
}

}  // namespace

Clerk::Clerk(io::EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      folder_(options_.spool),
      today_(day_now()),
      finder_(std::make_unique<dns::HostFinder>(loop, options_.dns)),
      means_{loop_, *finder_, options_.submitter, options_.spool, options_.authorities} {
  timer_.bind<&Clerk::tick>(this);
  DayFolder::Loaded loaded = folder_.load();
  days_ = std::move(loaded.days);
  for (const std::string& path : loaded.damaged)
    tell(true, fmt::format("{}: no counts of TLS can be read in it; put aside as {}.damaged", path,
                           path));
  for (const auto& [domain, count] : days_[today_].domains())
    if (!count.is_wanted) to_look_up_.push_back(domain);
  loop_.timers().arm(timer_, loop_.now());
}

Clerk::~Clerk() = default;

void Clerk::note(const std::vector<Outcome>& outcomes) {
  begin_day();
  for (const Outcome& outcome : outcomes) count(outcome);
}

void Clerk::count(const Outcome& outcome) {
  if (forgotten_.contains(hash_of(outcome.domain))) return;
  DayCount& day = days_[today_];
  const bool is_new = day.find(outcome.domain) == nullptr;
  if (!day.note(outcome)) return options_.counters.outcomes_lost.add();
  if (is_new) to_look_up_.push_back(outcome.domain);
  changed_.insert(today_);
}

/// A clock that is put back does not begin a day anew.
void Clerk::begin_day() {
  if (day_now() <= today_) return;
  today_ = day_now();
  forgotten_.clear();
}

void Clerk::tick() {
  loop_.timers().arm(timer_, loop_.now() + tick_interval);
  begin_day();
  drop_old_days();
  list_due();
  write();
  options_.counters.domains.set(days_[today_].domains().size());
}

void Clerk::drop_old_days() {
  while (!days_.empty() && days_.begin()->first < today_ - days_max) {
    const Day day = days_.begin()->first;
    const bool is_at_work = std::ranges::any_of(
        dispatches_, [day](const auto& dispatch) { return dispatch.first.first == day; });
    if (is_at_work) return;
    if (const size_t left = days_.begin()->second.domains().size(); left > 0)
      tell(true, fmt::format("TLS reports of {} to {} domains are too old to be sent",
                             date_text(day), left));
    days_.erase(day);
    folder_.write(day, {});
  }
}

void Clerk::list_due() {
  due_.clear();
  const io::WallTime now = loop_.wall();
  for (const auto& [day, counts] : days_) {
    if (day >= today_) return;
    for (const auto& [domain, count] : counts.domains())
      if (due_time(day, domain) <= now && count.progress.next_try <= now &&
          !dispatches_.contains({day, domain}))
        due_.emplace_back(day, domain);
  }
}

void Clerk::turn_ended() {
  end_dispatches();
  begin_dispatches();
  begin_look_ups();
}

void Clerk::begin_look_ups() {
  while (!to_look_up_.empty() && looking_up_ < look_ups_max) {
    const std::string domain = std::move(to_look_up_.front());
    to_look_up_.pop_front();
    ++looking_up_;
    finder_->find_texts("_smtp._tls." + domain, [this, domain](const dns::RecordSet& set) {
      --looking_up_;
      looked_up(domain, set);
    });
  }
}

/// Where nobody can tell, counting goes on.
void Clerk::looked_up(const std::string& domain, const dns::RecordSet& set) {
  loop_.request_turn();  // for the next ones
  DayCount& day = days_[today_];
  if (!set.is_definite()) return;
  changed_.insert(today_);
  if (!report_uris(set.texts).empty()) {
    if (DomainCount* const count = day.find(domain)) count->is_wanted = true;
    return;
  }
  day.forget(domain);
  if (forgotten_.size() == forgotten_max) forgotten_.clear();
  forgotten_.insert(hash_of(domain));
}

void Clerk::begin_dispatches() {
  while (!due_.empty() && dispatches_.size() < dispatches_max) {
    Key key = std::move(due_.front());
    due_.pop_front();
    const auto day = days_.find(key.first);
    const DomainCount* const count = day == days_.end() ? nullptr : day->second.find(key.second);
    if (count == nullptr || dispatches_.contains(key)) continue;
    const auto place = dispatches_.try_emplace(std::move(key)).first;
    const auto& [date, domain] = place->first;
    place->second = std::make_unique<Dispatch>(means_, domain, date, *count);
  }
}

void Clerk::end_dispatches() {
  for (auto at = dispatches_.begin(); at != dispatches_.end();) {
    at->second->turn_ended();
    if (!at->second->is_over()) {
      ++at;
      continue;
    }
    ended(at->first, at->second->result());
    at = dispatches_.erase(at);
  }
}

void Clerk::ended(const Key& key, const Dispatch::Result& result) {
  const auto& [day, domain] = key;
  DomainCount& count = *days_[day].find(domain);
  changed_.insert(day);
  for (const auto* uris : {&result.queued, &result.posted})
    count.progress.taken.insert(count.progress.taken.end(), uris->begin(), uris->end());
  options_.counters.queued.add(result.queued.size());
  options_.counters.posted.add(result.posted.size());
  const auto tell_of = [&](std::string_view what, const std::vector<std::string>& uris) {
    if (!uris.empty())
      tell(false, fmt::format("{}: {} {}", name_of(day, domain), what, fmt::join(uris, ", ")));
  };
  tell_of("queued for", result.queued);
  tell_of("taken by", result.posted);
  if (!result.failures.empty()) return put_off(key, count, result);
  days_[day].forget(domain);
}

/// RFC 8460 section 5.5.
void Clerk::put_off(const Key& key, DomainCount& count, const Dispatch::Result& result) {
  const auto& [day, domain] = key;
  Progress& progress = count.progress;
  const io::WallTime now = loop_.wall();
  if (progress.tries++ == 0) progress.first_try = now;
  constexpr unsigned doublings_max = 8;
  progress.next_try = now + retry_first * (1u << std::min(progress.tries - 1, doublings_max));
  const bool is_last = progress.next_try > progress.first_try + retry_for;
  for (const std::string& failure : result.failures)
    tell(true, fmt::format("{}: {}{}", name_of(day, domain), failure,
                           is_last ? "; given up" : "; will be tried again"));
  if (!is_last) return;
  options_.counters.failed.add();
  days_[day].forget(domain);
}

void Clerk::write() {
  for (auto at = changed_.begin(); at != changed_.end();) {
    const bool is_written = folder_.write(*at, days_[*at]);
    if (!is_written && !std::exchange(is_disk_refusing_, true))
      tell(true, fmt::format("counts of TLS cannot be written to {}/tlsrpt", options_.spool));
    if (!is_written) return;
    is_disk_refusing_ = false;
    if (days_[*at].domains().empty() && *at != today_) days_.erase(*at);
    at = changed_.erase(at);
  }
}

void Clerk::stop() {
  loop_.timers().cancel(timer_);
  finder_.reset();
  for (const auto& [key, dispatch] : dispatches_) dispatch->abandon();
  const auto is_at_work = [](const auto& dispatch) { return !dispatch.second->is_over(); };
  while (std::ranges::any_of(dispatches_, is_at_work)) {
    loop_.turn();
    for (const auto& [key, dispatch] : dispatches_) dispatch->turn_ended();
  }
  dispatches_.clear();
  write();
}

}  // namespace sluice::engine::tlsrpt
