#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/dns/record_set.h"

namespace sluice::engine::dns {

/// Which TLSA records a host has (RFC 7672 sections 2.1.3 and 2.2.2), as a pure machine: says what
/// to look up next, takes what came of it. A host whose addresses are not secure has none, and is
/// not asked about: many name servers answer no such question. Of an alias the name it leads to
/// comes first, then its own; where only its own is secure, that alone.
class TlsaSearch {
 public:
  struct Question {
    std::string name;
    RecordType type;
  };

  /// `v6`, `v4`: what is known about the addresses of `name`.
  TlsaSearch(const std::string& name, uint16_t port, const RecordSet& v6, const RecordSet& v4);

  /// Null: it is over.
  std::optional<Question> next() const;
  /// The answer to next().
  void take(const RecordSet& set);

  /// The name below which records were found, and they; "": none.
  const std::string& base_domain() const { return base_domain_; }
  const std::vector<tls::TlsaRecord>& records() const { return records_; }
  /// Whether there are any cannot be told, and so the host must not be used (section 2.1.2): what
  /// kept it from being told; "" else.
  const std::string& failure() const { return failure_; }
  io::Instant good_until() const { return good_until_; }

 private:
  const std::string name_;
  const uint16_t port_;
  bool asks_for_alias_ = false;
  std::vector<std::string> names_;  // to be asked about, the last one first
  std::string base_domain_, failure_;
  std::vector<tls::TlsaRecord> records_;
  io::Instant good_until_ = io::never;
};

}  // namespace sluice::engine::dns
