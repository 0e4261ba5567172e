#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/dns/dnssec_trust.h"
#include "engine/dns/host_list.h"
#include "engine/dns/record_set.h"
#include "io/event_loop.h"

namespace sluice::engine::dns {

/// Finds the hosts of a target: MX, implicit MX, null MX (RFC 5321 section 5.1, RFC 7505), A and
/// AAAA, literals; where these are secure, TLSA records (RFC 7672). One a shard, on its loop, with
/// a cache of its own; c-ares speaks to the name servers over the shard's ring.
///
/// What it tells, where no host was found:
///   permanent 5.1.2   no such domain; neither MX nor address; not a domain name
///   permanent 5.1.10  null MX
///   permanent 5.4.4   no MX has an address, for sure
///   permanent 5.4.6   the best MX is ourselves: a loop
///   transient 4.4.3   a name server failed, refused or did not answer; an MX's address is unknown,
///                     or whether it has TLSA records
///   transient 4.3.5   a configured next hop has no address or is ourselves: the operator's to mend
class HostFinder {
 public:
  struct Options {
    std::vector<io::SocketAddress> servers;        // asked in this order; none: all look-ups fail
    DnssecTrust trust = DnssecTrust::loopback;     // which of them are believed
    std::string hostname;                          // our own name: an MX of this name is ourselves
    std::vector<io::SocketAddress> own_addresses;  // what we listen on, each address spelt out
    // Of a question to one server in the first round over them; twice as long in each that follows.
    io::Duration timeout = std::chrono::seconds(1);
    io::Duration timeout_total = std::chrono::seconds(15);  // of a look-up once it was first sent
    unsigned rounds = 3;
    uint32_t cache_entries_max = 1u << 18;
  };

  struct Statistics {
    uint64_t finds = 0;       // find() calls
    uint64_t cache_hits = 0;  // record sets wanted and known
    uint64_t look_ups = 0;    // record sets wanted and not known, nor being asked for
    uint64_t questions = 0;   // sent to a server, repetitions included
    uint64_t timeouts = 0;    // questions that no server answered in time
    uint64_t cache_entries = 0, cache_octets = 0;
  };

  using Callback = std::function<void(HostListPtr)>;

  HostFinder(io::EventLoop& loop, Options options);
  /// What was not found yet never will be: callbacks are dropped. Waits for the sockets to close.
  ~HostFinder();

  /// Calls `found` once, never from within find(). Nothing to cancel: who has lost interest ignores
  /// the call. Targets asked for at once share their look-ups.
  void find(const Target& target, Callback found);

  /// The TXT records of a name (lower case, no final dot). Calls back as find() does.
  void find_texts(const std::string& name, std::function<void(const RecordSet&)> found);

  /// Calls of find() not yet answered.
  size_t searching() const;
  Statistics statistics() const;

 private:
  class Search;
  class TextSearch;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::engine::dns
