#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/smtp/verdict.h"
#include "engine/sts/demand.h"
#include "engine/tls/dane.h"
#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine::dns {

/// Where mail is to go, as the queue knows it.
struct Target {
  std::string domain;  // A-labels, or an address literal: `[192.0.2.7]`, `[IPv6:2001:db8::7]`
  std::vector<std::string> next_hops;  // empty: the hosts that DNS names ("mx"); else `host:port`,
                                       // `[192.0.2.7]:2525`, `relay.example.net`, in this order
  uint16_t port = 25;                  // where none is written
  bool has_dane = false;               // TLSA records are asked for, where DNS is secure
};

/// One address to connect to.
struct Host {
  std::string name;  // the MX in lower case; the literal's or next hop's host as written
  io::SocketAddress address;
  uint16_t preference = 0;  // the MX's; of next hops their place in the list
  tls::DanePolicyPtr dane;  // null: it has no TLSA record, or none is asked for
  sts::DemandPtr sts;       // of the domain's policy; null: none, or TLSA records take its place
};

/// A host that must not be used now, though it has addresses: what protects it cannot be told.
struct UnsafeHost {
  std::string name;
  std::string reason;  // "TLSA _25._tcp.mx.example.test: SERVFAIL from 127.0.0.1:53"
};

/// Why there is no host: our words, not a peer's.
struct Failure {
  smtp::Result result = smtp::Result::transient;  // or permanent
  smtp::EnhancedCode enhanced;
  std::string reason;  // "dns: example.test: no such domain (NXDOMAIN)"
};

/// What a Target came to.
struct HostList {
  std::vector<Host> hosts;  // ascending preference; the addresses of one MX together, IPv6 first
  std::vector<UnsafeHost> unsafe;  // left out
  std::optional<Failure> failure;  // if and only if `hosts` is empty
  io::Instant good_until{};        // least TTL of what it was made of, within bounds
};
using HostListPtr = std::shared_ptr<const HostList>;

/// The order in which one attempt tries `list.hosts`, as indices: ascending preference, MXes of
/// equal preference shuffled by `random` (RFC 5321 section 5.1), the addresses of one MX together
/// with the families taking turns. An address that several MXes share comes once.
std::vector<uint16_t> attempt_order(const HostList& list, uint64_t random);

}  // namespace sluice::engine::dns
