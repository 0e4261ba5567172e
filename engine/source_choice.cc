#include "engine/source_choice.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::engine {

namespace {

bool has(std::span<const SourceAddress> addresses, int family) {
  return std::ranges::any_of(addresses,
                             [family](const auto& a) { return a.local.family() == family; });
}

}  // namespace

/// A Weyl sequence: multiples of the golden ratio, modulo 1, cut the circle as evenly as can be.
const SourceAddress* SourceChoice::next(int family) {
  constexpr uint64_t golden_ratio = 0x9e3779b97f4a7c15;
  uint64_t total = 0;
  for (const SourceAddress& address : addresses_)
    if (address.local.family() == family) total += address.weight;
  turn_ += golden_ratio;
  uint64_t at = (turn_ >> 32) * total >> 32;
  const SourceAddress* chosen = nullptr;
  for (const SourceAddress& address : addresses_) {
    if (address.local.family() != family) continue;
    chosen = &address;
    if (at < address.weight) break;
    at -= address.weight;
  }
  return chosen;
}

const SourceAddress& SourceChoice::other(const SourceAddress& than) const {
  const auto here = static_cast<size_t>(&than - addresses_.data());
  size_t at = here;
  do at = (at + 1) % addresses_.size();
  while (addresses_[at].local.family() != than.local.family());
  return addresses_[at];
}

dns::HostListPtr reachable_from(std::span<const SourceAddress> addresses, dns::HostListPtr list) {
  const auto is_out_of_reach = [addresses](const dns::Host& host) {
    return !has(addresses, host.address.family());
  };
  if (addresses.empty() || std::ranges::none_of(list->hosts, is_out_of_reach)) return list;
  auto rest = std::make_shared<dns::HostList>(*list);
  std::erase_if(rest->hosts, is_out_of_reach);
  if (rest->hosts.empty())
    rest->failure = dns::Failure{
        .result = smtp::Result::transient,
        .enhanced = {4, 3, 5},
        .reason = fmt::format("source \"{}\" has no {} address, and the hosts no other",
                              addresses.front().source,
                              list->hosts.front().address.family() == AF_INET ? "IPv4" : "IPv6")};
  return rest;
}

}  // namespace sluice::engine
