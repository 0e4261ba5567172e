#include "engine/dns/host_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <list>
#include <utility>

#include "engine/config_value.h"
#include "engine/dns/mx_plan.h"
#include "engine/dns/resolver.h"
#include "io/check.h"

namespace sluice::engine::dns {
namespace {

/// As names are compared and looked up.
std::string plain_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string plain(name);
  std::ranges::transform(plain, plain.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return plain;
}

RecordSet known_for_good(RecordSet::Status status) {
  return {.status = status, .good_until = io::never};
}

}  // namespace

struct HostFinder::State {
  State(io::EventLoop& l, Options options);

  /// What is known at once; nullopt: search is told later, by resolved(tag, ...).
  std::optional<RecordSet> look(const std::string& name, RecordType type, Search& search,
                                size_t tag);
  void answer();

  io::EventLoop& loop;
  Ourselves ourselves;
  Resolver resolver;
  bool has_servers;
  uint64_t finds = 0;
  std::list<Search> searches;
  std::deque<std::pair<Callback, HostListPtr>> ready;  // to be told at the next turn's timers
  io::Timer timer;
};

/// One call of find() for which names are looked up: first the MX, then all addresses at once.
class HostFinder::Search final : Resolver::Waiter {
 public:
  Search(State& state, const Target& target, Callback found)
      : state_(state), target_(target), found_(std::move(found)) {}

  void begin(std::list<Search>::iterator self);

 private:
  friend struct State;
  void begin_with_next_hops();
  void begin_with_domain();
  Candidate candidate_of(const NextHop& hop) const;
  void resolved(size_t tag, const RecordSet& set) override;
  void take(size_t tag, RecordSet set);
  void look_for_addresses();
  void look(const std::string& name, RecordType type, size_t tag);
  void go_on();
  void finish(HostList list);

  State& state_;
  const Target target_;
  Callback found_;
  std::list<Search>::iterator self_;
  std::string domain_;
  std::optional<RecordSet> mx_;
  std::vector<Candidate> candidates_;
  bool is_no_domain_ = false, has_looked_for_addresses_ = false;
  size_t pending_ = 0;
};

void HostFinder::Search::begin(std::list<Search>::iterator self) {
  self_ = self;
  ++pending_;  // so that nothing ends before all has begun
  if (!target_.next_hops.empty())
    begin_with_next_hops();
  else
    begin_with_domain();
  --pending_;
  go_on();
}

void HostFinder::Search::begin_with_next_hops() {
  for (const std::string& text : target_.next_hops) {
    // The configuration was checked: what is no next hop has no address.
    const NextHop hop = parse_next_hop(text).value_or(NextHop{.host = text});
    candidates_.push_back(candidate_of(hop));
    candidates_.back().preference = static_cast<uint16_t>(candidates_.size() - 1);
  }
  look_for_addresses();
}

void HostFinder::Search::begin_with_domain() {
  if (target_.domain.starts_with('[')) {
    const auto literal =
        is_address_literal(target_.domain) ? parse_next_hop(target_.domain) : std::nullopt;
    if (literal) {
      candidates_.push_back(candidate_of(*literal));
      candidates_.back().name = domain_ = target_.domain;
      mx_ = known_for_good(RecordSet::Status::no_data);
      return look_for_addresses();
    }
  }
  domain_ = plain_name(target_.domain);
  if (is_hostname(domain_)) return look(domain_, RecordType::mx, 0);
  is_no_domain_ = true;
}

/// Addresses as written, and of localhost (RFC 6761 section 6.3), are known; others are not yet.
Candidate HostFinder::Search::candidate_of(const NextHop& hop) const {
  using Status = RecordSet::Status;
  Candidate candidate{.name = plain_name(hop.host),
                      .port = hop.port == 0 ? target_.port : hop.port,
                      .v6 = known_for_good(Status::no_data),
                      .v4 = known_for_good(Status::no_data)};
  const auto add = [&](std::string_view address) {
    const auto parsed = io::SocketAddress::parse(fmt::format("[{}]:1", address));
    if (!parsed) return false;
    RecordSet& set = parsed->family() == AF_INET6 ? candidate.v6 : candidate.v4;
    set.status = Status::found;
    set.addresses.push_back(*parsed);
    return true;
  };
  if (candidate.name == "localhost") {
    add("::1");
    add("127.0.0.1");
  } else if (!add(hop.host) && is_hostname(candidate.name)) {
    candidate.v6 = candidate.v4 = {};
  }
  return candidate;
}

void HostFinder::Search::look_for_addresses() {
  has_looked_for_addresses_ = true;
  ++pending_;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    const std::string name = candidates_[i].name;
    if (candidates_[i].v6.good_until == io::never) continue;  // as written
    look(name, RecordType::aaaa, 1 + 2 * i);
    look(name, RecordType::a, 2 + 2 * i);
  }
  --pending_;
}

void HostFinder::Search::look(const std::string& name, RecordType type, size_t tag) {
  auto set = state_.look(name, type, *this, tag);
  if (set)
    take(tag, std::move(*set));
  else
    ++pending_;
}

void HostFinder::Search::resolved(size_t tag, const RecordSet& set) {
  take(tag, set);
  --pending_;
  go_on();
}

void HostFinder::Search::take(size_t tag, RecordSet set) {
  if (tag == 0) {
    mx_ = std::move(set);
    candidates_ = candidates(domain_, target_.port, *mx_);
    return;
  }
  Candidate& candidate = candidates_[(tag - 1) / 2];
  (tag % 2 == 1 ? candidate.v6 : candidate.v4) = std::move(set);
}

void HostFinder::Search::go_on() {
  if (pending_ > 0) return;
  if (!has_looked_for_addresses_) look_for_addresses();
  if (pending_ > 0) return;
  if (!target_.next_hops.empty()) return finish(next_hop_plan(candidates_, state_.ourselves));
  if (!is_no_domain_) return finish(mx_plan(domain_, *mx_, candidates_, state_.ourselves));
  finish({.failure = Failure{smtp::Result::permanent,
                             {5, 1, 2},
                             fmt::format("dns: '{}' is no domain name", target_.domain)},
          .good_until = io::never});
}

/// Destroys the search.
void HostFinder::Search::finish(HostList list) {
  State& state = state_;
  // What is never out of date is worth looking at again all the same: nobody keeps it for ever.
  list.good_until = std::min(list.good_until, state.loop.now() + Resolver::positive_most);
  state.ready.emplace_back(std::move(found_), std::make_shared<const HostList>(std::move(list)));
  state.loop.timers().arm(state.timer, state.loop.now());
  state.searches.erase(self_);
}

HostFinder::State::State(io::EventLoop& l, Options options)
    : loop(l),
      ourselves{plain_name(options.hostname), std::move(options.own_addresses)},
      resolver(loop, {.servers = options.servers,
                      .timeout = options.timeout,
                      .timeout_total = options.timeout_total,
                      .rounds = options.rounds,
                      .cache_entries_max = options.cache_entries_max}),
      has_servers(!options.servers.empty()) {
  timer.bind<&State::answer>(this);
}

std::optional<RecordSet> HostFinder::State::look(const std::string& name, RecordType type,
                                                 Search& search, size_t tag) {
  if (auto set = resolver.known(name, type)) return set;
  // An MX by such a name has octets in it that no host's name has; c-ares would misread it.
  if (name.find('\\') != name.npos)
    return RecordSet{.status = RecordSet::Status::no_name,
                     .good_until = loop.now() + Resolver::negative_most};
  if (!has_servers)
    return RecordSet{.status = RecordSet::Status::failed,
                     .reason = "there is no name server to ask",
                     .good_until = loop.now() + Resolver::failed_for};
  resolver.resolve(name, type, search, tag);
  return std::nullopt;
}

void HostFinder::State::answer() {
  for (auto& [found, list] : std::exchange(ready, {})) found(std::move(list));
}

HostFinder::HostFinder(io::EventLoop& loop, Options options)
    : state_(std::make_unique<State>(loop, std::move(options))) {}

HostFinder::~HostFinder() = default;

void HostFinder::find(const Target& target, Callback found) {
  ++state_->finds;
  state_->searches.emplace_front(*state_, target, std::move(found));
  state_->searches.front().begin(state_->searches.begin());
}

size_t HostFinder::searching() const { return state_->searches.size() + state_->ready.size(); }

HostFinder::Statistics HostFinder::statistics() const {
  const Resolver::Counts& counts = state_->resolver.counts();
  const RecordCache& cache = state_->resolver.cache();
  return {.finds = state_->finds,
          .cache_hits = counts.cache_hits,
          .look_ups = counts.look_ups,
          .questions = counts.questions,
          .timeouts = counts.timeouts,
          .cache_entries = cache.entries(),
          .cache_octets = cache.octets()};
}

}  // namespace sluice::engine::dns
