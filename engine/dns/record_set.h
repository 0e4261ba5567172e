#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/dns/answer.h"
#include "io/clock.h"

namespace sluice::engine::dns {

/// What is known about the records of one type that a name has, aliases followed.
struct RecordSet {
  enum class Status : uint8_t {
    found,
    no_data,  // the name exists, such records do not
    no_name,  // NXDOMAIN
    failed,   // nobody could tell: `reason`
  };
  Status status = Status::failed;
  /// DNSSEC vouches for it, "not there" included, and for each alias on the way: so says a server
  /// that is believed.
  bool is_secure = false;
  std::string canonical;  // where aliases led to; "": there were none
  std::vector<MxRecord> mx;
  std::vector<io::SocketAddress> addresses;  // port 0
  std::vector<tls::TlsaRecord> tlsa;         // ascending
  std::vector<std::string> texts;            // of TXT records, the strings of each joined
  std::string reason;  // "SERVFAIL from 127.0.0.1:53", "no answer from 127.0.0.1:53 within 3s"
  io::Instant good_until{};

  bool is_definite() const { return status != Status::failed; }
};

}  // namespace sluice::engine::dns
