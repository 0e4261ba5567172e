#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/tlsrpt/outcome.h"
#include "io/clock.h"

namespace sluice::engine::tlsrpt {

/// A day of UTC.
using Day = std::chrono::sys_days;

/// What sessions that failed in one way have in common (RFC 8460 section 4.4, failure-details).
struct Failure {
  TlsResult result = TlsResult::validation_failure;
  std::string sending_ip, receiving_mx, receiving_ip, reason;  // "": not known

  friend auto operator<=>(const Failure&, const Failure&) = default;
};

/// A policy that was applied (RFC 8460 section 4.4, policy).
struct Policy {
  static constexpr size_t text_octets_max = 4096;  // lines beyond are left out

  TlsPolicyType type = TlsPolicyType::no_policy_found;
  std::string domain;             // that it is of: with `tlsa` the TLSA base domain
  std::vector<std::string> text;  // lines of an MTA-STS policy, or TLSA records
  std::vector<std::string> mx;    // patterns of an MTA-STS policy

  friend auto operator<=>(const Policy&, const Policy&) = default;
};

struct PolicyCount {
  static constexpr size_t failures_max = 100;  // ways; beyond, by the result alone

  uint64_t successes = 0;
  std::map<Failure, uint64_t> failures;

  uint64_t failed() const;
};

/// How far the report of a domain has come, once its day is over.
struct Progress {
  io::WallTime first_try{};  // 1970: there was none
  uint32_t tries = 0;
  io::WallTime next_try{};         // not kept over a restart, which tries at once
  std::vector<std::string> taken;  // URIs that have it
};

struct DomainCount {
  static constexpr size_t policies_max = 16;  // others are not counted

  bool is_wanted = false;  // the domain asks for reports; else nobody could tell yet
  std::map<Policy, PolicyCount> policies;
  Progress progress;

  struct Totals {
    uint64_t successes = 0, failures = 0;
  };
  Totals totals() const;
};

/// What TLS came to in a day, by domain. Pure. Bounded: what would pass octets_max is not counted,
/// save by the result of what is known already.
class DayCount {
 public:
  static constexpr size_t octets_max = 16 * 1024 * 1024;

  using Domains = std::map<std::string, DomainCount, std::less<>>;

  /// False: not counted. Some microseconds.
  bool note(const Outcome& outcome);
  void forget(const std::string& domain);
  DomainCount* find(std::string_view domain);
  const Domains& domains() const { return domains_; }
  /// As they were written by an earlier run.
  void set_domains(Domains&& domains);
  size_t octets() const { return octets_; }

 private:
  PolicyCount* policy_count(const Outcome& outcome);

  Domains domains_;
  size_t octets_ = 0;  // of all counts, roughly
};

/// Null policies give what is known without them.
Policy policy_of(const Outcome& outcome);

}  // namespace sluice::engine::tlsrpt
