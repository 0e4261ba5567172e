#include "engine/dns/host_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <list>
#include <utility>

#include "engine/config_value.h"
#include "engine/dns/mx_plan.h"
#include "engine/dns/resolver.h"
#include "engine/dns/tlsa_search.h"
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

/// What a look-up of a search is for: the MX, or something of a candidate.
enum class Wanted : uint8_t { v6, v4, dane };
constexpr size_t tag_of_mx = 0, wanted_count = 3;
constexpr size_t tag_of(size_t candidate, Wanted wanted) {
  return 1 + wanted_count * candidate + static_cast<size_t>(wanted);
}
constexpr size_t candidate_of_tag(size_t tag) { return (tag - 1) / wanted_count; }
constexpr Wanted wanted_of_tag(size_t tag) { return static_cast<Wanted>((tag - 1) % wanted_count); }

RecordSet known_for_good(RecordSet::Status status) {
  return {.status = status, .good_until = io::never};
}

}  // namespace

struct HostFinder::State {
  State(io::EventLoop& l, Options options);

  /// What is known at once; nullopt: search is told later, by resolved(tag, ...).
  std::optional<RecordSet> look(const std::string& name, RecordType type, Resolver::Waiter& search,
                                size_t tag);
  void answer();

  io::EventLoop& loop;
  Ourselves ourselves;
  Resolver resolver;
  bool has_servers;
  uint64_t finds = 0;
  std::list<Search> searches;
  std::list<TextSearch> text_searches;
  std::deque<std::pair<Callback, HostListPtr>> ready;  // to be told at the next turn's timers
  std::deque<std::list<TextSearch>::iterator> ready_texts;
  io::Timer timer;
};

/// One call of find() for which names are looked up: first the MX, then all addresses at once, then
/// what TLSA records they have.
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
  bool may_have_dane() const;
  void look_for_dane();
  void ask_for_dane(size_t candidate);
  void conclude_dane();
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
  std::vector<TlsaSearch> tlsa_;  // of each candidate, once their addresses are known
  bool is_no_domain_ = false, has_looked_for_addresses_ = false, has_looked_for_dane_ = false;
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
  if (is_hostname(domain_)) return look(domain_, RecordType::mx, tag_of_mx);
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
    look(name, RecordType::aaaa, tag_of(i, Wanted::v6));
    look(name, RecordType::a, tag_of(i, Wanted::v4));
  }
  --pending_;
}

/// RFC 7672 section 2.2.1: hosts that an insecure answer names are anybody's.
bool HostFinder::Search::may_have_dane() const {
  return target_.has_dane && (!target_.next_hops.empty() || (mx_ && mx_->is_secure));
}

void HostFinder::Search::look_for_dane() {
  has_looked_for_dane_ = true;
  if (!may_have_dane()) return;
  for (const Candidate& candidate : candidates_)
    tlsa_.emplace_back(candidate.name, candidate.port, candidate.v6, candidate.v4);
  ++pending_;
  for (size_t i = 0; i < tlsa_.size(); ++i) ask_for_dane(i);
  --pending_;
}

void HostFinder::Search::ask_for_dane(size_t candidate) {
  if (const auto question = tlsa_[candidate].next())
    look(question->name, question->type, tag_of(candidate, Wanted::dane));
}

void HostFinder::Search::conclude_dane() {
  for (size_t i = 0; i < tlsa_.size(); ++i) {
    const TlsaSearch& search = tlsa_[i];
    Candidate& candidate = candidates_[i];
    candidate.is_unsafe = search.failure();
    candidate.v4.good_until = std::min(candidate.v4.good_until, search.good_until());
    if (search.base_domain().empty()) continue;
    // RFC 7672 section 3.2.2.
    std::vector<std::string> names{candidate.name};
    if (target_.next_hops.empty()) names = {domain_, mx_->canonical};
    candidate.dane =
        std::make_shared<const tls::DanePolicy>(tls::DanePolicy{.base_domain = search.base_domain(),
                                                                .other_names = std::move(names),
                                                                .port = candidate.port,
                                                                .records = search.records()});
  }
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
  if (tag == tag_of_mx) {
    mx_ = std::move(set);
    candidates_ = candidates(domain_, target_.port, *mx_);
    return;
  }
  const size_t number = candidate_of_tag(tag);
  switch (wanted_of_tag(tag)) {
    case Wanted::v6: candidates_[number].v6 = std::move(set); return;
    case Wanted::v4: candidates_[number].v4 = std::move(set); return;
    case Wanted::dane:
      tlsa_[number].take(set);
      ask_for_dane(number);
      return;
  }
}

void HostFinder::Search::go_on() {
  if (pending_ > 0) return;
  if (!has_looked_for_addresses_) look_for_addresses();
  if (pending_ > 0) return;
  if (!has_looked_for_dane_) look_for_dane();
  if (pending_ > 0) return;
  conclude_dane();
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

/// One call of find_texts().
class HostFinder::TextSearch final : public Resolver::Waiter {
 public:
  using Found = std::function<void(const RecordSet&)>;

  TextSearch(State& state, Found found) : state_(state), found_(std::move(found)) {}

  void begin(const std::string& name, std::list<TextSearch>::iterator self) {
    self_ = self;
    if (const auto set = state_.look(name, RecordType::txt, *this, 0)) resolved(0, *set);
  }
  /// Destroys the search.
  void tell() {
    const Found found = std::move(found_);
    const RecordSet set = std::move(set_);
    state_.text_searches.erase(self_);
    found(set);
  }

 private:
  void resolved(size_t, const RecordSet& set) override {
    set_ = set;
    state_.ready_texts.push_back(self_);
    state_.loop.timers().arm(state_.timer, state_.loop.now());
  }

  State& state_;
  Found found_;
  RecordSet set_;
  std::list<TextSearch>::iterator self_;
};

HostFinder::State::State(io::EventLoop& l, Options options)
    : loop(l),
      ourselves{plain_name(options.hostname), std::move(options.own_addresses)},
      resolver(loop, {.servers = options.servers,
                      .trust = options.trust,
                      .timeout = options.timeout,
                      .timeout_total = options.timeout_total,
                      .rounds = options.rounds,
                      .cache_entries_max = options.cache_entries_max}),
      has_servers(!options.servers.empty()) {
  timer.bind<&State::answer>(this);
}

std::optional<RecordSet> HostFinder::State::look(const std::string& name, RecordType type,
                                                 Resolver::Waiter& search, size_t tag) {
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
  for (const auto& search : std::exchange(ready_texts, {})) search->tell();
}

HostFinder::HostFinder(io::EventLoop& loop, Options options)
    : state_(std::make_unique<State>(loop, std::move(options))) {}

HostFinder::~HostFinder() = default;

void HostFinder::find(const Target& target, Callback found) {
  ++state_->finds;
  state_->searches.emplace_front(*state_, target, std::move(found));
  state_->searches.front().begin(state_->searches.begin());
}

void HostFinder::find_texts(const std::string& name, TextSearch::Found found) {
  state_->text_searches.emplace_front(*state_, std::move(found));
  state_->text_searches.front().begin(name, state_->text_searches.begin());
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
