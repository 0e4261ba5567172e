#include "engine/dns/mx_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

using Status = RecordSet::Status;

Failure permanent(smtp::EnhancedCode enhanced, std::string_view domain, std::string_view why) {
  return {smtp::Result::permanent, enhanced, fmt::format("dns: {}: {}", domain, why)};
}

Failure transient(smtp::EnhancedCode enhanced, std::string_view domain, std::string_view why) {
  return {smtp::Result::transient, enhanced, fmt::format("dns: {}: {}", domain, why)};
}

bool is_null_mx(const RecordSet& mx) {
  return mx.status == Status::found &&
         std::ranges::all_of(mx.mx, [](const MxRecord& record) { return record.host.empty(); });
}

io::SocketAddress with_port(io::SocketAddress address, uint16_t port) {
  // sin_port and sin6_port lie at the same place.
  reinterpret_cast<sockaddr_in*>(address.data())->sin_port = htons(port);
  return address;
}

/// The candidate's addresses to connect to, IPv6 first.
std::vector<io::SocketAddress> addresses_of(const Candidate& candidate) {
  std::vector<io::SocketAddress> addresses;
  for (const RecordSet* set : {&candidate.v6, &candidate.v4})
    for (const io::SocketAddress& address : set->addresses)
      addresses.push_back(with_port(address, candidate.port));
  return addresses;
}

bool has_our_address(const Candidate& candidate, const Ourselves& ourselves) {
  return std::ranges::any_of(addresses_of(candidate), [&](const io::SocketAddress& address) {
    return std::ranges::find(ourselves.addresses, address) != ourselves.addresses.end();
  });
}

void append(const Candidate& candidate, HostList& list) {
  if (!candidate.is_unsafe.empty())
    return list.unsafe.push_back({candidate.name, candidate.is_unsafe});
  for (const io::SocketAddress& address : addresses_of(candidate))
    list.hosts.push_back({candidate.name, address, candidate.preference, candidate.dane});
}

/// The first candidate of which nobody could tell whether it has an address.
const RecordSet* unknown_address(const Candidate& candidate) {
  if (!candidate.v6.is_definite()) return &candidate.v6;
  if (!candidate.v4.is_definite()) return &candidate.v4;
  return nullptr;
}

io::Instant least_good_until(std::span<const Candidate> candidates, io::Instant begin) {
  for (const Candidate& candidate : candidates)
    begin = std::min({begin, candidate.v6.good_until, candidate.v4.good_until});
  return begin;
}

std::string names_of(std::span<const Candidate> candidates) {
  constexpr size_t shown_max = 3;
  std::string text;
  for (const Candidate& candidate : candidates.first(std::min(candidates.size(), shown_max)))
    text += (text.empty() ? "" : ", ") + candidate.name;
  return candidates.size() > shown_max ? text + ", ..." : text;
}

/// Why none of `usable` gave a host.
Failure no_address(std::string_view domain, const RecordSet& mx,
                   std::span<const Candidate> usable) {
  for (const Candidate& candidate : usable)
    if (!candidate.is_unsafe.empty()) return transient({4, 4, 3}, domain, candidate.is_unsafe);
  for (const Candidate& candidate : usable)
    if (const RecordSet* set = unknown_address(candidate))
      return transient({4, 4, 3}, domain,
                       fmt::format("address of {}: {}", candidate.name, set->reason));
  if (mx.status == Status::no_data)
    return permanent({5, 1, 2}, domain, "has neither MX nor address");
  return permanent({5, 4, 4}, domain, fmt::format("no MX has an address ({})", names_of(usable)));
}

}  // namespace

std::vector<Candidate> candidates(std::string_view domain, uint16_t port, const RecordSet& mx) {
  std::vector<Candidate> found;
  if (mx.status == Status::no_data) found.push_back({.name = std::string(domain), .port = port});
  if (mx.status != Status::found) return found;
  // RFC 7505 section 3: a null MX stands alone; one among others is a mistake and no host.
  for (const MxRecord& record : mx.mx)
    if (!record.host.empty()) found.push_back({record.host, record.preference, port, {}, {}});
  std::ranges::sort(found, {}, &Candidate::preference);
  return found;
}

Failure refusal(std::string_view domain, const RecordSet& mx) {
  if (is_null_mx(mx)) return permanent({5, 1, 10}, domain, "accepts no mail (null MX)");
  if (mx.status == Status::no_name)
    return permanent({5, 1, 2}, domain, "no such domain (NXDOMAIN)");
  return transient({4, 4, 3}, domain, fmt::format("MX: {}", mx.reason));
}

HostList mx_plan(std::string_view domain, const RecordSet& mx,
                 std::span<const Candidate> candidates, const Ourselves& ourselves) {
  HostList list{.good_until = least_good_until(candidates, mx.good_until)};
  if (candidates.empty()) {
    list.failure = refusal(domain, mx);
    return list;
  }
  CHECK(std::ranges::is_sorted(candidates, {}, &Candidate::preference));
  const auto we = std::ranges::find_if(candidates, [&](const Candidate& candidate) {
    return candidate.name == ourselves.hostname || has_our_address(candidate, ourselves);
  });
  const bool is_us = we != candidates.end();
  const auto end =
      is_us ? std::ranges::find(candidates, we->preference, &Candidate::preference) : we;
  const std::span<const Candidate> usable(candidates.begin(), end);
  for (const Candidate& candidate : usable) append(candidate, list);
  if (!list.hosts.empty()) return list;
  const bool is_unknown = std::ranges::any_of(usable, unknown_address);
  if (is_us && !is_unknown && list.unsafe.empty())
    list.failure = permanent(
        {5, 4, 6}, domain,
        fmt::format("mail for it would loop: {} is this host",
                    mx.status == Status::found ? "its MX " + we->name : std::string(we->name)));
  else
    list.failure = no_address(domain, mx, usable);
  return list;
}

HostList next_hop_plan(std::span<const Candidate> candidates, const Ourselves& ourselves) {
  HostList list{.good_until = least_good_until(candidates, io::never)};
  const Candidate* unknown = nullptr;
  const Candidate* self = nullptr;
  for (const Candidate& candidate : candidates) {
    if (has_our_address(candidate, ourselves))
      self = &candidate;
    else
      append(candidate, list);
    if (!unknown && unknown_address(candidate)) unknown = &candidate;
  }
  if (!list.hosts.empty()) return list;
  if (!list.unsafe.empty())
    list.failure = transient({4, 4, 3}, list.unsafe[0].name, list.unsafe[0].reason);
  else if (unknown)
    list.failure = transient({4, 4, 3}, unknown->name,
                             fmt::format("address: {}", unknown_address(*unknown)->reason));
  else if (self)
    list.failure = transient({4, 3, 5}, self->name, "the next hop is this host");
  else
    list.failure = transient({4, 3, 5}, names_of(candidates), "the next hop has no address");
  return list;
}

}  // namespace sluice::engine::dns
