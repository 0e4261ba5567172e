#include "engine/shard.h"

#include <algorithm>

#include "engine/coordinator.h"
#include "engine/queue/routing.h"
#include "engine/source_choice.h"
#include "engine/sts/bound_hosts.h"
#include "engine/tlsrpt/reporter.h"
#include "io/check.h"

namespace sluice::engine {

namespace {
constexpr io::Duration sweep_interval = std::chrono::seconds(30);
constexpr size_t searches_max = 8192;  // for hosts: about 2 KB each
constexpr io::Duration shortage_pause = std::chrono::seconds(1);

/// The rest is for DNS, and for what listens.
uint32_t sessions_of(uint32_t socket_slots) {
  return std::max(1u, socket_slots - socket_slots / 8);
}

Waited waited(const spool::Waits& waits) {
  return {.one = waits.recipient(),
          .attempts = waits.attempts(),
          .refusals = waits.refusals(),
          .at = waits.at(),
          .until = waits.next_attempt()};
}

struct Part {
  Waited waited;
  std::vector<Range> ranges;
};

/// Letters joined while others waited for their destination: by how many attempts that makes for
/// each of whom nothing else is known.
std::vector<Part> parted(const AddSource& source) {
  if (!source.mailing->letters || source.waits.is_empty())
    return {{waited(source.waits), source.ranges}};
  std::vector<Part> parts;
  for (const Range range : source.ranges)
    for (uint32_t number = range.first; number < range.first + range.count; ++number) {
      const uint16_t attempts = source.waits.attempts_of(number);
      if (parts.empty() || parts.back().waited.attempts != attempts) {
        parts.push_back({waited(source.waits), {}});
        parts.back().waited.attempts = attempts;
      }
      Part& part = parts.back();
      part.waited.one = number;
      if (!part.ranges.empty() && part.ranges.back().first + part.ranges.back().count == number)
        ++part.ranges.back().count;
      else
        part.ranges.push_back({number, 1});
    }
  return parts;
}
}  // namespace

Shard::Shard(io::EventLoop& loop, Mesh& mesh, const Setup& setup)
    : index_(setup.index),
      loop_(loop),
      mesh_(mesh),
      hostname_(setup.hostname),
      in_doubt_(setup.in_doubt),
      counters_(setup.counters),
      fates_(loop, mesh, setup.index, *this, counters(), setup.notices),
      finder_(loop, setup.dns),
      policies_(setup.index, finder_, setup.policies),
      reporter_(setup.reporter),
      notebook_(loop, setup.index, setup.reporter, counters().tls_outcomes_lost),
      ender_(loop, fates_, *this),
      signing_desk_(loop, counters()),
      sessions_(sessions_of(setup.socket_slots)),
      queue_news_{.shard = setup.index},
      queue_news_sent_(queue_news_) {
  signing_desk_.set_keys(setup.keys);
  mesh_.attach(index_, loop_.proactor());
  if (setup.policies != nullptr) setup.policies->attach(index_, loop_.proactor());
  if (reporter_ != nullptr) reporter_->attach(index_, loop_.proactor());
  if (reporter_ != nullptr && index_ == 0) reporter_->listen(loop_.proactor());
  loop_.add(*this);
  sweep_.bind<&Shard::sweep>(this);
  shortage_.bind<&Shard::end_shortage>(this);
}

Shard::~Shard() { loop_.remove(*this); }

std::expected<void, std::string> Shard::open(Setup&& setup) {
  auto log = report::TransactionLog::open(loop_, setup.log, index_ == 0, fates_.log_listener());
  if (!log) return std::unexpected(log.error());
  fates_.attach(spool::Journal::create(loop_, setup.spool, index_, setup.journal_sequence,
                                       std::move(setup.sealed), fates_.journal_listener()),
                std::move(*log));
  if (!setup.listens) return {};
  intake_ = std::make_unique<intake::SmtpIntake>(
      loop_,
      intake::SmtpIntake::Options{.shard = index_,
                                  .hostname = hostname_,
                                  .spool = setup.spool,
                                  .sequence = setup.journal_sequence,
                                  .listen = std::move(setup.listen),
                                  .errands = setup.errands,
                                  .sessions_max = setup.socket_slots},
      static_cast<intake::SmtpIntake::Owner&>(*this));
  return intake_->listen();
}

void Shard::mark(Outlet& outlet) {
  if (!std::exchange(outlet.is_marked, true)) marked_outlets_.push_back(&outlet);
}

void Shard::mark(Home& home) {
  if (!std::exchange(home.is_marked, true)) marked_homes_.push_back(&home);
}

Shard::Home& Shard::home(const Route& route) {
  auto& home = homes_[route.number];
  if (!home) {
    home = std::make_unique<Home>(*this, route);
    if (routing_) home->queue.reroute(routing_, queue_now());
    if (!sweep_.is_armed()) loop_.timers().arm(sweep_, loop_.now() + sweep_interval);
  }
  mark(*home);
  return *home;
}

Outlet& Shard::outlet(const Route& route) {
  auto& outlet = outlets_[route.number];
  if (!outlet) outlet = std::make_unique<Outlet>(*this, route);
  return *outlet;
}

bool Shard::has_room_for(const Outlet& outlet) const {
  const uint32_t most = sessions_.slots_max();
  if (shortage_.is_armed()) return false;
  if (outlet.sessions() > 0) return slot_waiters_.empty() && sessions_.size() < most - most / 4;
  return sessions_.size() < most && (slot_waiters_.empty() || outlet.slot == Outlet::Slot::offered);
}

Session* Shard::create_session(Outlet& outlet) {
  if (sessions_to_open_ == 0) return mark(outlet), nullptr;
  if (has_room_for(outlet)) return --sessions_to_open_, sessions_.create(outlet);
  if (outlet.sessions() == 0 && outlet.slot != Outlet::Slot::awaited) {
    outlet.slot = Outlet::Slot::awaited;
    slot_waiters_.push_back(&outlet);
  }
  if (!idle_.empty()) idle_.front()->finish();
  return nullptr;
}

void Shard::socket_refused() { loop_.timers().arm(shortage_, loop_.now() + shortage_pause); }

void Shard::session_idles(Session& session) {
  session.idle_place = idle_.insert(idle_.end(), &session);
  const bool are_too_many = idle_.size() > 1 && idle_.size() > sessions_.slots_max() / 8;
  if (are_too_many || !slot_waiters_.empty()) idle_.front()->finish();
}

void Shard::session_busy(Session& session) { idle_.erase(session.idle_place); }

/// To as many as there is room for; who has no use for it leaves it to the next, a turn later.
void Shard::offer_slots() {
  if (shortage_.is_armed()) return;
  for (uint32_t n = sessions_.size(); n < sessions_.slots_max() && !slot_waiters_.empty(); ++n) {
    Outlet& outlet = *slot_waiters_.front();
    slot_waiters_.pop_front();
    outlet.slot = Outlet::Slot::offered;
    mark(outlet);
  }
  if (!marked_outlets_.empty()) loop_.request_turn();
}

void Shard::wait_for_buffer(Session& session) {
  if (std::find(buffer_waiters_.begin(), buffer_waiters_.end(), &session) == buffer_waiters_.end())
    buffer_waiters_.push_back(&session);
}

void Shard::add_source(AddSource& source) {
  queue::HomeQueue& queue = home(*source.route).queue;
  const queue::HomeQueue::Now now = queue_now();
  for (Part& part : parted(source)) {
    if (source.is_retried) part.waited.until = {};
    queue.add(source.mailing, std::move(part.ranges), part.waited, Orders(source.orders), now);
  }
  if (source.earlier)
    queue.restore(source.mailing, source.ranges, *source.earlier, source.waits, now);
  for (Returned& returned : source.returned) queue.arrive(std::move(returned), now);
  // Sent on before the last reload, and by another shard: it may have to go further.
  if (source.routing && source.routing != routing_ && routing_) queue.reroute(routing_, now);
}

void Shard::reload(Reload& news) {
  if (news.routing) {
    routing_ = std::move(news.routing);
    for (auto& [number, home] : homes_) {
      home->queue.reroute(routing_, queue_now());
      mark(*home);
    }
  }
  signing_desk_.set_keys(std::move(news.keys));
  if (intake_) intake_->reload(*news.listen);
}

void Shard::handle(Message&& message) {
  struct Visitor {
    Shard& shard;
    void operator()(std::monostate) {}
    void operator()(AddSource& m) { shard.add_source(m); }
    void operator()(Steer& m) {
      shard.home(*m.route).queue.steer(m.mailing, std::move(m.orders), m.due, m.is_release,
                                       shard.queue_now());
    }
    void operator()(Forget& m) { shard.forget(*m.route); }
    void operator()(Recall& m) { shard.outlet(*m.route).give_back_all(); }
    void operator()(Want& m) { shard.home(*m.route).queue.want(m.shard); }
    void operator()(GiveBack& m) {
      queue::HomeQueue& queue = shard.home(*m.route).queue;
      const queue::HomeQueue::Now now = shard.queue_now();
      for (Returned& returned : m.returned) queue.give_back(std::move(returned), now);
    }
    void operator()(SessionNews& m) {
      shard.home(*m.route).queue.session_news(m, shard.queue_now());
    }
    void operator()(Permit& m) { shard.outlet(*m.route).set_permit(m.sessions, std::move(m.plan)); }
    void operator()(Grant& m) { shard.outlet(*m.route).grant(std::move(m.batch), m.is_asked); }
    void operator()(Finished& m) {
      shard.fates_.campaign_finished(m.uid);
      shard.signing_desk_.campaign_finished(m.uid);
    }
    void operator()(Stop& m) { shard.stop(m.now); }
    void operator()(Trouble& m) { shard.coordinator_->trouble(m.text); }
    void operator()(Reload& m) { shard.reload(m); }
    void operator()(ReopenLog&) { shard.fates_.reopen_log(); }
    void operator()(Tally& m) { shard.coordinator_->tally(m); }
    void operator()(Stopped&) { shard.coordinator_->shard_stopped(); }
    void operator()(StorageNews& m) { shard.coordinator_->storage_news(m); }
    void operator()(Letters& m) { shard.coordinator_->letters(std::move(m)); }
    void operator()(QueueNews& m) { shard.coordinator_->queue_news(m); }
  };
  std::visit(Visitor{*this}, message);
}

queue::HomeQueue::Now Shard::queue_now() {
  return {.instant = loop_.now(), .wall = loop_.wall(), .random = loop_.proactor().random()};
}

void Shard::Home::grant(unsigned to, std::unique_ptr<Batch> batch, bool is_asked) {
  shard.post(to, Grant{&queue.route(), std::move(batch), is_asked});
}

void Shard::Home::permit(unsigned to, uint32_t sessions, const HostPlan& plan) {
  shard.post(to, Permit{&queue.route(), sessions, plan});
}

void Shard::Home::end(std::unique_ptr<Batch> batch, const queue::Ending& ending) {
  shard.ender_.end(queue.route(), std::move(batch), ending);
}

void Shard::Home::find_hosts() {
  if (shard.finder_.searching() < searches_max) return shard.search(*this);
  shard.seekers_.push_back(this);
}

/// The home lives until it is answered: its queue is not idle.
void Shard::search(Home& home) {
  const dns::Target target = home.queue.route().target();
  finder_.find(target, [this, &home, domain = target.domain](dns::HostListPtr list) {
    note_unsafe(
        {.policy = TlsPolicyType::tlsa, .result = TlsResult::dnssec_invalid, .domain = domain},
        list->unsafe);
    look_for_policy(home,
                    reachable_from(home.queue.route().policy.source_addresses, std::move(list)));
    if (seekers_.empty() || finder_.searching() >= searches_max) return;
    Home& next = *seekers_.front();
    seekers_.pop_front();
    search(next);
  });
}

/// Of the domain; where the hosts have usable TLSA records it says nothing more.
void Shard::look_for_policy(Home& home, dns::HostListPtr list) {
  const Route& route = home.queue.route();
  const bool is_wanted = route.is_by_mx() && route.policy.has_mta_sts() &&
                         std::ranges::any_of(list->hosts, [](const dns::Host& host) {
                           return !host.dane || !host.dane->is_usable();
                         });
  if (!is_wanted || route.name.starts_with('[')) return hosts_found(home, std::move(list));
  policies_.find(route.name, route.policy.security.authorities(),
                 [this, &home, list](sts::Finding&& finding) {
                   const std::string& domain = home.queue.route().name;
                   dns::HostListPtr bound = sts::bound_hosts(list, domain, finding, loop_.now());
                   note_unsafe({.policy = TlsPolicyType::sts,
                                .result = TlsResult::validation_failure,
                                .domain = domain,
                                .sts = finding.policy},
                               std::span(bound->unsafe).subspan(list->unsafe.size()));
                   hosts_found(home, std::move(bound));
                 });
}

void Shard::hosts_found(Home& home, dns::HostListPtr list) {
  home.queue.hosts_found(std::move(list), queue_now());
  mark(home);
  loop_.request_turn();
}

/// The same of each of `hosts`, which are not connected to.
void Shard::note_unsafe(const TlsOutcome& outcome, std::span<const dns::UnsafeHost> hosts) {
  TlsOutcome own = outcome;
  for (const dns::UnsafeHost& host : hosts) {
    own.mx = host.name;
    own.reason = host.reason;
    note_tls(own);
  }
}

void Shard::note_tls(const TlsOutcome& outcome) {
  counters().tls[static_cast<size_t>(outcome.policy)][static_cast<size_t>(outcome.result)].add();
  notebook_.note(outcome);
}

/// Of the reporter, which speaks to shard 0.
void Shard::tell_news() {
  if (coordinator_ == nullptr || reporter_ == nullptr) return;
  while (const auto news = reporter_->news())
    news->is_trouble ? coordinator_->trouble(news->text) : coordinator_->tls_report(news->text);
}

void Shard::Home::recall() {
  for (unsigned to = 0; to < shard.mesh_.shards(); ++to) shard.post(to, Recall{&queue.route()});
}

void Shard::Home::depart(AddSource&& departure) {
  const unsigned to = departure.route->home;
  shard.post(to, std::move(departure));
}

void Shard::Home::note_wait(const Mailing& mailing, const Waited& waited) {
  shard.fates_.note_wait(mailing, waited);
}

void Shard::ended(const Route& route, std::vector<Returned>&& returned) {
  queue::HomeQueue& queue = home(route).queue;
  const queue::HomeQueue::Now now = queue_now();
  for (Returned& r : returned) queue.give_back(std::move(r), now);
  queue.ended();
}

/// Queues that were empty at two sweeps in a row go, with their outlets: what it costs to have sent
/// mail to many destinations is bounded by how many there are within a minute.
void Shard::sweep() {
  for (auto it = homes_.begin(); it != homes_.end();) {
    Home& home = *it->second;
    const bool was_idle = std::exchange(home.was_idle, home.queue.is_idle());
    if (!was_idle || !home.was_idle || home.is_marked || stopping_) {
      ++it;
      continue;
    }
    for (unsigned to = 0; to < mesh_.shards(); ++to) post(to, Forget{&home.queue.route()});
    it = homes_.erase(it);
  }
  if (!homes_.empty()) loop_.timers().arm(sweep_, loop_.now() + sweep_interval);
}

void Shard::forget(const Route& route) {
  const auto outlet = outlets_.find(route.number);
  if (outlet == outlets_.end()) return;
  if (outlet->second->is_idle() && !outlet->second->is_marked &&
      outlet->second->slot == Outlet::Slot::none)
    outlets_.erase(outlet);
  else
    outlet->second->set_permit(0, {});
}

void Shard::serve_homes() {
  for (Home* home : std::exchange(marked_homes_, {})) {
    home->is_marked = false;
    if (stopping_) continue;
    home->queue.serve(queue_now(), *home);
    count(*home);
    if (const io::Instant next = home->queue.next(loop_.now()); next != io::never)
      loop_.timers().arm(home->timer, next);
    else
      loop_.timers().cancel(home->timer);
  }
  if (queue_news_ == queue_news_sent_) return;
  queue_news_sent_ = queue_news_;
  post(0, QueueNews(queue_news_));
}

void Shard::count(Home& home) {
  queue_news_.held += home.queue.held() - std::exchange(home.held, home.queue.held());
  queue_news_.backed_off +=
      home.queue.backed_off() - std::exchange(home.backed_off, home.queue.backed_off());
}

void Shard::serve_outlets() {
  sessions_to_open_ = sessions_a_turn_max;
  for (size_t n = marked_outlets_.size(); n > 0 && sessions_to_open_ > 0; --n) {
    Outlet* const outlet = marked_outlets_.front();
    marked_outlets_.pop_front();
    outlet->is_marked = false;
    outlet->turn_ended();
    if (outlet->slot == Outlet::Slot::offered) outlet->slot = Outlet::Slot::none;
  }
  while (!buffer_waiters_.empty() && !buffers_.is_exhausted()) {
    Session* session = buffer_waiters_.front();
    buffer_waiters_.pop_front();
    session->resume();
  }
}

void Shard::bury_sessions() {
  for (Session* session : graves_) sessions_.destroy(session);
  graves_.clear();
  offer_slots();
}

void Shard::turn_ended() {
  const auto handler = [this](Message&& message) { handle(std::move(message)); };
  mesh_.drain(index_, handler);
  policies_.turn_ended();
  serve_homes();
  mesh_.drain(index_, handler);
  serve_outlets();
  signing_desk_.turn_ended();
  if (intake_) intake_->turn_ended();
  bury_sessions();
  fates_.turn_ended(sessions_.size());
  check_stopped();
  tell_news();
  if (coordinator_ != nullptr) coordinator_->turn_ended();
  if (mesh_.flush(index_) || !marked_homes_.empty() || !marked_outlets_.empty())
    loop_.request_turn();
  else if (stopped_ && coordinator_ == nullptr)
    loop_.stop();
}

void Shard::storage_changed(const std::string& message) {
  post(0, StorageNews{index_, message});
  for (auto& [route, outlet] : outlets_) mark(*outlet);
}

void Shard::stop(bool now) {
  stopping_ = true;
  grace_is_over_ |= now;
  fates_.hurry();
  for (auto& [route, outlet] : outlets_) outlet->stop();
  sessions_.for_each([&](Session& session) { now ? session.abort("stopping") : session.finish(); });
  if (intake_) intake_->stop(now);
}

void Shard::check_stopped() {
  if (!stopping_ || stopped_ || sessions_.size() > 0 || !ender_.is_idle()) return;
  if (intake_ && !intake_->is_idle()) return;
  // A disk that refuses is not waited for beyond it: what is not stored is tried again.
  if (!fates_.is_idle() && !grace_is_over_) return;
  if (std::ranges::any_of(outlets_, [](const auto& o) { return o.second->is_reading(); })) return;
  stopped_ = true;
  notebook_.hand_over();
  post(0, Stopped{index_});
}

}  // namespace sluice::engine
