#include "engine/dns/host_finder.h"

#include <fmt/format.h>

#include <deque>
#include <utility>

#include "engine/config_value.h"

namespace sluice::engine::dns {

struct HostFinder::State {
  State(io::EventLoop& l, Options o) : loop(l), options(std::move(o)) {
    timer.bind<&State::answer>(this);
  }
  void answer() {
    for (auto& [found, list] : std::exchange(ready, {})) found(std::move(list));
  }

  io::EventLoop& loop;
  Options options;
  Statistics statistics;
  std::deque<std::pair<Callback, HostListPtr>> ready;
  io::Timer timer;
};

HostFinder::HostFinder(io::EventLoop& loop, Options options)
    : state_(std::make_unique<State>(loop, std::move(options))) {}

HostFinder::~HostFinder() = default;

void HostFinder::find(const Target& target, Callback found) {
  ++state_->statistics.finds;
  auto list = std::make_shared<HostList>();
  list->good_until = state_->loop.now() + std::chrono::seconds(10);
  std::vector<std::string> hops = target.next_hops;
  if (hops.empty()) hops = {target.domain};
  for (const std::string& text : hops) {
    const auto hop = parse_next_hop(text);
    if (!hop) continue;
    const uint16_t port = hop->port == 0 ? target.port : hop->port;
    if (const auto address = io::SocketAddress::parse(fmt::format("[{}]:{}", hop->host, port)))
      list->hosts.push_back({hop->host, *address, static_cast<uint16_t>(list->hosts.size())});
  }
  if (list->hosts.empty())
    list->failure = Failure{
        smtp::Result::transient, {4, 4, 3}, fmt::format("dns: {}: no name server", hops.front())};
  state_->ready.emplace_back(std::move(found), std::move(list));
  state_->loop.timers().arm(state_->timer, state_->loop.now());
}

size_t HostFinder::searching() const { return state_->ready.size(); }
HostFinder::Statistics HostFinder::statistics() const { return state_->statistics; }

}  // namespace sluice::engine::dns
