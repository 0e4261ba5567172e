#include "engine/dns/host_list.h"

#include <algorithm>
#include <span>
#include <utility>

namespace sluice::engine::dns {
namespace {

/// splitmix64.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  size_t below(size_t bound) {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return static_cast<size_t>((z ^ (z >> 31)) % bound);
  }
  template <class T>
  void shuffle(std::span<T> items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  uint64_t state_;
};

/// The addresses of one MX: hosts[first, last).
struct Mx {
  size_t first, last;
};

/// Shuffled within a family, then the families in turns, beginning with IPv6.
void append_in_turns(const HostList& list, const Mx& mx, Dice& dice, std::vector<uint16_t>& order) {
  std::vector<uint16_t> v6, v4;
  for (size_t i = mx.first; i < mx.last; ++i)
    (list.hosts[i].address.family() == AF_INET6 ? v6 : v4).push_back(static_cast<uint16_t>(i));
  dice.shuffle(std::span(v6));
  dice.shuffle(std::span(v4));
  for (size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) order.push_back(v6[i]);
    if (i < v4.size()) order.push_back(v4[i]);
  }
}

}  // namespace

std::vector<uint16_t> attempt_order(const HostList& list, uint64_t random) {
  Dice dice(random);
  const auto& hosts = list.hosts;
  std::vector<uint16_t> order;
  for (size_t first = 0, last = 0; first < hosts.size(); first = last) {
    std::vector<Mx> equals;
    for (; last < hosts.size() && hosts[last].preference == hosts[first].preference; ++last) {
      if (last == first || hosts[last].name != hosts[last - 1].name) equals.push_back({last, last});
      ++equals.back().last;
    }
    dice.shuffle(std::span(equals));
    for (const Mx& mx : equals) append_in_turns(list, mx, dice, order);
  }
  std::vector<uint16_t> once;
  for (const uint16_t i : order)
    if (std::ranges::none_of(once,
                             [&](uint16_t o) { return hosts[o].address == hosts[i].address; }))
      once.push_back(i);
  return once;
}

}  // namespace sluice::engine::dns
