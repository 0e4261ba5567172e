#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dns/host_list.h"
#include "engine/dns/record_set.h"

namespace sluice::engine::dns {

/// A name that mail may go to, and what is known about its addresses.
struct Candidate {
  std::string name;
  uint16_t preference = 0;
  uint16_t port = 0;
  RecordSet v6, v4;
  tls::DanePolicyPtr dane;  // null: none
  std::string is_unsafe;    // why it must not be used; "": it may
};

/// Who we are, so that mail is not sent to ourselves.
struct Ourselves {
  std::string hostname;                      // lower case
  std::vector<io::SocketAddress> addresses;  // with ports
};

/// The hosts whose addresses are to be looked up for mail to `domain`, in ascending preference: its
/// MXes, or itself where it has none (RFC 5321 section 5.1). Empty where `mx` already decides: see
/// refusal().
std::vector<Candidate> candidates(std::string_view domain, uint16_t port, const RecordSet& mx);

/// Why `mx` alone decides that there is no host: no such domain, null MX, look-up failed.
Failure refusal(std::string_view domain, const RecordSet& mx);

/// Hosts of candidates(), once all addresses are known. Those at or beyond
/// the preference of one that is ourselves are left out (RFC 5321 section 5.1). Pure.
HostList mx_plan(std::string_view domain, const RecordSet& mx,
                 std::span<const Candidate> candidates, const Ourselves& ourselves);

/// The same for a list of next hops: only those that are ourselves are left out, and a list that
/// leads nowhere is the operator's mistake, which does not bounce mail.
HostList next_hop_plan(std::span<const Candidate> candidates, const Ourselves& ourselves);

}  // namespace sluice::engine::dns
