#include "engine/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "engine/queue/earlier_run.h"
#include "io/check.h"

namespace sluice::engine {

namespace {
constexpr io::Duration rules_interval = std::chrono::hours(1);  // between looks for spent ones
}

Coordinator::Coordinator(Shard& shard, Mesh& mesh, spool::Spool& spool, const Config& config,
                         const Protections& protections, bool until_empty, Observer& observer)
    : shard_(shard),
      mesh_(mesh),
      spool_(spool),
      config_(&config),
      protections_(protections),
      until_empty_(until_empty),
      observer_(observer),
      watch_(shard.loop(), spool.folder(), *this),
      rule_remover_(shard.loop().proactor(), spool.folder()),
      sessions_(mesh.shards(), 0),
      queue_news_(mesh.shards()) {
  senders_.emplace_back(config.senders);
  grace_.bind<&Coordinator::grace_over>(this);
  rules_timer_.bind<&Coordinator::remove_rules>(this);
  shard_.set_coordinator(*this);
}

void Coordinator::start() {
  for (const spool::Damage& damage : spool_.recovered().damages)
    observer_.spool_damaged(fmt::format("{}: {} octets at {} passed over: {}", damage.path,
                                        damage.bytes, damage.offset, damage.reason));
  std::vector<std::string> unreadable;
  rules_ = queue::RuleWatch::read_all(shard_.loop().proactor(), spool_.folder(), unreadable);
  for (const std::string& message : unreadable) observer_.rule_unreadable(message);
  watch_.start(rules_);
  spool_.start(*this);
}

void Coordinator::rule_unreadable(const std::string& message) {
  observer_.rule_unreadable(message);
}

void Coordinator::broadcast(auto&& make) {
  for (unsigned to = 0; to < mesh_.shards(); ++to) mesh_.post(0, to, make());
}

void Coordinator::campaign_arrived(std::shared_ptr<const spool::Campaign> campaign) {
  if (stopping_) return;
  const spool::CampaignInfo& info = campaign->info();
  auto message = CampaignMessage::decode(campaign->message());
  if (!message)
    return refuse(fmt::format("{}: its message cannot be read; was it written by a newer release?",
                              campaign->path()));
  auto content = mail::Template::decode(message->content);
  if (!content)
    return refuse(fmt::format("{}: its template cannot be read; was it written by a newer release?",
                              campaign->path()));
  spool::Progress recovered = progress_of(info.uid);
  const auto mailing =
      std::make_shared<Mailing>(campaign, std::move(*message), std::move(*content), recovered);
  mailing->weight = config_->sender(mailing->message.sender).weight;
  if (recovered.fates_known() == 0 && recovered.deferred.empty() && recovered.waits.empty()) {
    shard_.engine_counters().accepted.add(campaign->recipients());
    shard_.fates().log({.event = report::Event::accepted,
                        .time = shard_.loop().wall(),
                        .id = fmt::format("{:016x}", info.uid),
                        .campaign = info.id,
                        .sender = mailing->message.sender,
                        .bytes = campaign->bytes(),
                        .recipients = campaign->recipients()});
  }
  observer_.campaign_accepted(info, campaign->recipients());
  take_up(mailing, std::move(recovered));
}

void Coordinator::mail_arrived(std::shared_ptr<const spool::MailSegment> segment) {
  if (stopping_) return;
  const uint64_t uid = segment->info().uid;
  spool::Progress recovered = progress_of(uid);
  const auto mailing = std::make_shared<Mailing>(std::move(segment), recovered);
  mailing->senders = &senders_.back();
  take_up(mailing, std::move(recovered));
}

/// What earlier runs achieved of it.
spool::Progress Coordinator::progress_of(uint64_t uid) {
  const auto known = spool_.recovered().campaigns.extract(uid);
  return known ? std::move(known.mapped()) : spool::Progress{};
}

/// All of it.
void Coordinator::take_up(const MailingPtr& mailing, spool::Progress&& recovered) {
  const spool::Campaign& campaign = *mailing->campaign;
  Live live{.mailing = mailing,
            .summary = {.recipients = campaign.recipients(),
                        .delivered = recovered.delivered,
                        .failed = recovered.failed,
                        .expired = recovered.expired,
                        .cancelled = recovered.cancelled,
                        .in_doubt = recovered.in_doubt}};
  const uint64_t fates = recovered.fates_known();
  CHECK(fates <= campaign.recipients());
  live.waiting = campaign.recipients() - static_cast<uint32_t>(fates);
  live.groups = campaign.group_count();
  totals_.recipients += campaign.recipients();
  totals_.delivered += recovered.delivered;
  totals_.failed += recovered.failed;
  totals_.expired += recovered.expired;
  totals_.cancelled += recovered.cancelled;
  totals_.in_doubt += recovered.in_doubt;
  totals_.deferred += recovered.deferred.size();
  Live& placed = live_.emplace(mailing.get(), std::move(live)).first->second;
  if (placed.waiting == 0) return finish(placed);
  spread(mailing, std::move(recovered));
}

/// Of a segment that a shard writes: those that came since the last time.
void Coordinator::letters(Letters&& news) {
  const auto [place, is_new] = segments_.try_emplace(news.segment.get());
  if (is_new) {
    auto mailing = std::make_shared<Mailing>(news.segment, spool::Progress{});
    mailing->senders = &senders_.back();
    place->second = &live_.emplace(mailing.get(), Live{.mailing = mailing}).first->second;
    spool_.adopt(news.segment);
  }
  Live& live = *place->second;
  const auto came = static_cast<uint32_t>(news.recipients - live.summary.recipients);
  live.summary.recipients += came;
  live.waiting += came;
  totals_.recipients += came;
  shard_.engine_counters().accepted.add(came);
  spread_letters(live);
  if (!news.is_sealed) return;
  segments_.erase(place);
  if (live.waiting == 0) finish(live);
}

void Coordinator::spread_letters(Live& live) {
  const spool::Campaign& campaign = *live.mailing->campaign;
  const uint32_t first_group = live.groups;
  std::map<uint32_t, AddSource> sources;  // by the route's number
  for (; live.groups < campaign.group_count(); ++live.groups) {
    const spool::Group group = campaign.group(live.groups);
    if (group.first >= live.summary.recipients) break;  // of a later commit
    const Route& route = this->route(*live.mailing, group);
    AddSource& source = sources[route.number];
    source.route = &route, source.mailing = live.mailing;
    source.ranges.push_back({group.first, group.count});
  }
  if (sources.empty()) return;
  const queue::Standing standing = queue::standing(rules_, campaign, *config_, first_group);
  for (auto& [number, source] : sources) {
    source.orders = {queue::common(standing.held, source.ranges),
                     queue::common(standing.cancelled, source.ranges)};
    const unsigned home = source.route->home;
    mesh_.post(0, home, std::move(source));
  }
}

void Coordinator::campaign_unreadable(const std::string&, const spool::Error& error) {
  refuse(error.message);
}

void Coordinator::refuse(std::string message) {
  ++refused_;
  observer_.campaign_refused(message);
}

/// O(policies in use), which are few.
const DestinationPolicy& Coordinator::policy(std::string_view domain, std::string_view next_hop,
                                             std::string_view source, bool is_tls_optional) {
  DestinationPolicy wanted = config_->destination(domain, next_hop, source);
  wanted.is_tls_optional = is_tls_optional;
  wanted.protection = protections_.of(wanted.security);
  const auto same = std::ranges::find(policies_, wanted);
  return same != policies_.end() ? *same : policies_.emplace_back(std::move(wanted));
}

const Route& Coordinator::route(const Mailing& mailing, const spool::Group& group) {
  if (!mailing.letters)
    return find_route(group.name, mailing.message.next_hop, mailing.source_of(group, *config_),
                      mailing.message.is_tls_optional);
  const std::string& source = senders_.back().source_of(group.sender);
  RoutesByDomain& known = routes_of_letters_[source];
  const auto found = known.find(group.name);
  if (found != known.end()) return *found->second;
  const Route& route = find_route(group.name, "", source, false);
  known.emplace(group.name, &route);
  return route;
}

const Route& Coordinator::find_route(std::string_view domain, std::string_view next_hop,
                                     std::string_view source, bool is_tls_optional) {
  const DestinationPolicy& policy = this->policy(domain, next_hop, source, is_tls_optional);
  std::string name(policy.next_hops.empty() ? domain : "");
  std::unique_ptr<Route>& route = routes_[{&policy, name}];
  if (!route) {
    if (name.empty()) name = policy.next_hops.front();
    const auto number = static_cast<uint32_t>(routes_.size() - 1);
    route =
        std::make_unique<Route>(Route{std::move(name), policy, number, number % mesh_.shards()});
  }
  return *route;
}

std::vector<queue::Routing::Span> Coordinator::spans(const Mailing& mailing) {
  std::vector<queue::Routing::Span> spans;
  for (const spool::Group& group : mailing.campaign->groups()) {
    const Route& route = this->route(mailing, group);
    if (!spans.empty() && spans.back().route == &route)
      spans.back().range.count += group.count;
    else
      spans.push_back({{group.first, group.count}, &route});
  }
  return spans;
}

bool Coordinator::is_retried(const spool::Campaign& campaign, const std::vector<Range>& ranges,
                             io::WallTime since) const {
  return std::ranges::any_of(rules_, [&](const queue::Rule& rule) {
    return rule.action == queue::Rule::Action::retry && rule.at >= since &&
           !queue::common(queue::ranges_of(rule, campaign), ranges).empty();
  });
}

void Coordinator::spread(const MailingPtr& mailing, spool::Progress&& recovered) {
  const std::vector<queue::Routing::Span> spans = this->spans(*mailing);
  std::map<uint32_t, AddSource> sources;  // by the route's number
  for (const queue::Routing::Span& span : spans) {
    AddSource& source = sources[span.route->number];
    source.route = span.route, source.mailing = mailing;
    source.ranges.push_back(span.range);
  }
  for (const spool::Wait& wait : recovered.waits) {
    if (wait.recipient >= mailing->campaign->recipients()) continue;
    const auto after = std::ranges::upper_bound(spans, wait.recipient, {},
                                                [](const auto& s) { return s.range.first; });
    CHECK(after != spans.begin());
    sources[std::prev(after)->route->number].waits.add(wait);
  }
  const queue::Standing standing = queue::standing(rules_, *mailing->campaign, *config_);
  std::shared_ptr<const queue::EarlierRun> earlier;
  if (!recovered.deferred.empty())
    earlier = std::make_shared<const queue::EarlierRun>(
        queue::EarlierRun{std::move(recovered.deferred), standing});
  for (auto& [number, source] : sources) {
    source.earlier = earlier;
    source.is_retried = !source.waits.is_empty() &&
                        is_retried(*mailing->campaign, source.ranges, source.waits.at());
    source.orders = {queue::common(standing.held, source.ranges),
                     queue::common(standing.cancelled, source.ranges)};
    const unsigned home = source.route->home;
    mesh_.post(0, home, std::move(source));
  }
}

/// An operator's word, while it runs: to all queues that it speaks of.
void Coordinator::rule_arrived(queue::Rule&& rule) {
  using Action = queue::Rule::Action;
  const bool makes_due =
      rule.action == Action::retry || rule.action == Action::release || rule.action == Action::etrn;
  const bool is_release = rule.action == Action::release;
  rules_.insert(std::ranges::upper_bound(rules_, rule.name, {}, &queue::Rule::name), rule);
  for (auto& [key, live] : live_) {
    const spool::Campaign& campaign = *live.mailing->campaign;
    const std::vector<Range> concerned = queue::ranges_of(rule, campaign);
    if (concerned.empty()) continue;
    steer(live, spans(*live.mailing), concerned, makes_due, is_release);
  }
}

/// To the queues of those concerned, what is said of all of the mailing.
void Coordinator::steer(const Live& live, const std::vector<queue::Routing::Span>& spans,
                        const std::vector<Range>& concerned, bool makes_due, bool is_release) {
  const queue::Standing standing = queue::standing(rules_, *live.mailing->campaign, *config_);
  std::map<uint32_t, std::pair<const Route*, std::vector<Range>>> routes;  // by number
  for (const queue::Routing::Span& span : spans) {
    auto& [route, ranges] = routes[span.route->number];
    route = span.route;
    ranges.push_back(span.range);
  }
  for (const auto& [number, of_route] : routes) {
    const auto& [route, ranges] = of_route;
    std::vector<Range> here = queue::common(concerned, ranges);
    if (here.empty()) continue;
    mesh_.post(0, route->home,
               Steer{.route = route,
                     .mailing = live.mailing,
                     .orders = {queue::common(standing.held, ranges),
                                queue::common(standing.cancelled, ranges)},
                     .due = makes_due ? std::move(here) : std::vector<Range>{},
                     .is_release = is_release});
  }
}

/// All that goes by a route now by which other recipients went before.
std::vector<Range> Coordinator::changed(const std::vector<queue::Routing::Span>& before,
                                        const std::vector<queue::Routing::Span>& now) {
  std::map<const Route*, std::pair<std::vector<Range>, std::vector<Range>>> routes;
  for (const queue::Routing::Span& span : before) routes[span.route].first.push_back(span.range);
  for (const queue::Routing::Span& span : now) routes[span.route].second.push_back(span.range);
  std::vector<Range> out;
  for (const queue::Routing::Span& span : now)
    if (const auto& [then, since] = routes[span.route]; then != since) out.push_back(span.range);
  return out;
}

/// Queues are told what stands before anybody comes to them from another one.
void Coordinator::reload(const Config& config, Protections&& protections,
                         intake::SmtpListeners&& listeners, const dkim::KeyringPtr& keys) {
  if (stopping_) return;
  std::map<const Mailing*, std::vector<queue::Routing::Span>> before;
  for (const auto& [mailing, live] : live_) before[mailing] = spans(*mailing);
  config_ = &config;
  protections_ = std::move(protections);
  routes_of_letters_.clear();
  senders_.emplace_back(config.senders);
  for (const auto& [mailing, live] : live_) live.mailing->senders = &senders_.back();
  auto routing = std::make_shared<queue::Routing>();
  for (const auto& [mailing, live] : live_) {
    std::vector<queue::Routing::Span> now = spans(*mailing);
    const bool has_moved = routing_ && routing_->find(*mailing);
    if (now == before[mailing] && !has_moved) continue;
    steer(live, now, changed(before[mailing], now), false, false);
    queue::Standing standing = queue::standing(rules_, *mailing->campaign, config);
    routing->mailings.emplace(
        mailing->campaign->info().uid,
        queue::Routing::Of{std::move(now),
                           {std::move(standing.held), std::move(standing.cancelled)}});
  }
  routing_ = std::move(routing);
  const auto listen = std::make_shared<const intake::SmtpListeners>(std::move(listeners));
  broadcast([&] { return Reload{routing_, listen, keys}; });
  shard_.loop().request_turn();
}

void Coordinator::note_finished(const std::string& id) {
  if (std::ranges::find(rules_, id, &queue::Rule::campaign) != rules_.end()) finished_.insert(id);
}

/// While a campaign cannot be read nobody knows whom rules speak of.
void Coordinator::remove_rules() {
  shard_.loop().timers().arm(rules_timer_, shard_.loop().now() + rules_interval);
  if (refused_ > 0 || !spool_.is_settled() || rule_remover_.is_in_flight()) return;
  std::vector<const spool::Campaign*> live;
  for (const auto& [mailing, of] : live_) live.push_back(mailing->campaign.get());
  rule_remover_.start(queue::spent_rules(rules_, live, finished_, shard_.loop().wall()),
                      [this](const std::string& name) {
                        std::erase_if(rules_, [&](const auto& r) { return r.name == name; });
                      });
}

void Coordinator::tally(const Tally& tally) {
  sessions_[tally.shard] = tally.sessions;
  totals_.sessions = 0;
  for (const uint32_t n : sessions_) totals_.sessions += n;
  for (const Tally::Of& of : tally.mailings) {
    Live& live = live_.at(of.mailing);
    spool::CampaignSummary& summary = live.summary;
    summary.delivered += of.delivered, totals_.delivered += of.delivered;
    summary.failed += of.failed, totals_.failed += of.failed;
    summary.expired += of.expired, totals_.expired += of.expired;
    summary.cancelled += of.cancelled, totals_.cancelled += of.cancelled;
    summary.unreadable += of.unreadable, totals_.unreadable += of.unreadable;
    summary.in_doubt += of.in_doubt, totals_.in_doubt += of.in_doubt;
    totals_.deferrals += of.deferrals;
    totals_.deferred += static_cast<uint64_t>(static_cast<int64_t>(of.deferred_change));
    const uint32_t fates =
        of.delivered + of.failed + of.expired + of.cancelled + of.unreadable + of.in_doubt;
    CHECK(fates <= live.waiting);
    live.waiting -= fates;
    if (fates > 0) totals_.last_fate = shard_.loop().now();
    if (live.waiting == 0 && fates > 0 && !is_growing(live)) finish(live);
  }
}

bool Coordinator::is_growing(const Live& live) const {
  return live.mailing->letters && segments_.contains(live.mailing->letters);
}

void Coordinator::finish(Live& live) {
  live.summary.finished_at = shard_.loop().wall();
  const Mailing* mailing = live.mailing.get();
  spool_.finish(mailing->campaign, live.summary, [this, mailing] {
    const auto done = live_.extract(mailing);
    const spool::CampaignInfo& info = mailing->campaign->info();
    if (!mailing->letters) note_finished(info.id);
    broadcast([&] { return Finished{info.uid}; });
    if (!mailing->letters) observer_.campaign_finished(info, done.mapped().summary);
    shard_.loop().request_turn();
  });
}

void Coordinator::count() {
  report::EngineCounters& counters = shard_.engine_counters();
  counters.campaigns.set(live_.size());
  counters.waiting.set(totals_.recipients - totals_.fates());
  counters.deferred.set(totals_.deferred);
  counters.held.set(totals_.held);
  counters.sessions.set(totals_.sessions);
  counters.spool_bytes.set(spool_.campaign_bytes());
}

void Coordinator::turn_ended() {
  count();
  if (!spool_.is_settled() || stopping_) return;
  if (!std::exchange(has_settled_, true)) remove_rules();
  if (until_empty_ && (live_.empty() || is_all_held())) stop();
}

/// Nothing moves any more before somebody says so. Those held are among those that wait, so the
/// numbers are the same only when all are.
bool Coordinator::is_all_held() const {
  if (totals_.held == 0 || totals_.held != totals_.recipients - totals_.fates()) return false;
  return std::ranges::none_of(live_, [](const auto& live) { return live.second.waiting == 0; });
}

void Coordinator::queue_news(const QueueNews& news) {
  const QueueNews before = std::exchange(queue_news_[news.shard], news);
  totals_.held += news.held - before.held;
  totals_.deferred += news.backed_off - before.backed_off;
}

void Coordinator::stop() {
  if (std::exchange(stopping_, true)) return;
  observer_.stopping();
  spool_.stop();
  watch_.stop();
  rule_remover_.stop();
  shard_.loop().timers().cancel(rules_timer_);
  broadcast([] { return Stop{}; });
  shard_.loop().timers().arm(grace_, shard_.loop().now() + stop_grace);
  shard_.loop().request_turn();
}

void Coordinator::grace_over() {
  broadcast([] { return Stop{.now = true}; });
}

void Coordinator::reopen_logs() {
  broadcast([] { return ReopenLog{}; });
}

void Coordinator::shard_stopped() {
  if (++stopped_ < mesh_.shards()) return;
  shard_.loop().timers().cancel(grace_);
  shard_.loop().stop();
}

void Coordinator::storage_news(const StorageNews& news) {
  if (news.problem.empty())
    storage_problems_.erase(news.shard);
  else
    storage_problems_[news.shard] = news.problem;
  // Shards that share a disk share its problems: each is told once.
  const std::string now = storage_problems_.empty() ? "" : storage_problems_.begin()->second;
  if (now.empty() == storage_problem_told_.empty()) return;
  storage_problem_told_ = now;
  observer_.storage_changed(now);
}

}  // namespace sluice::engine
