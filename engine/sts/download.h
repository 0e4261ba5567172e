#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/https/exchange.h"
#include "engine/sts/finding.h"
#include "io/event_loop.h"

namespace sluice::engine::sts {

/// Whose policy is to be fetched, and from where.
struct Source {
  std::string domain;                        // A-labels
  std::vector<io::SocketAddress> addresses;  // of mta-sts.DOMAIN, with port; one at least
  std::string authorities;                   // PEM file of those who are trusted
};

/// What came: a policy, or why none (`fault`).
struct Fetched {
  Policy policy;
  Finding fault;
};

/// One download of a policy over HTTPS (RFC 8461 section 3.3): GET
/// https://mta-sts.DOMAIN/.well-known/mta-sts.txt; of what is answered only 200 with text/plain
/// counts.
class Download {
 public:
  /// Begins. Blocking for some 10 ms: reads the authorities.
  Download(io::EventLoop& loop, const Source& source);

  /// It has ended, and nothing of it is in flight: result() may be called, once.
  bool is_over() const { return exchange_.is_over(); }
  Fetched result();
  /// Ends soon.
  void abandon() { exchange_.abandon(); }

 private:
  Fetched fault(Fault fault, std::string_view why) const;

  const std::string host_;
  https::Exchange exchange_;
};

}  // namespace sluice::engine::sts
