#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "engine/sts/finding.h"
#include "io/clock.h"

namespace sluice::engine::sts {

/// A policy, and since when and until when it is in force.
struct KeptPolicy {
  PolicyPtr policy;
  std::string id;  // of the TXT record that it was fetched for
  io::WallTime fetched{}, expires{};
};

/// The policies of all domains, and when one is to be fetched (RFC 8461 sections 3.3 and 5.1):
/// whatever is served or not served later, one that was fetched is in force until it expires. Pure:
/// who fetches tells what came of it.
class PolicyBook {
 public:
  static constexpr size_t entries_max = 65'536;  // then the one that expires first goes
  static constexpr io::Duration fresh_for = std::chrono::hours(24);     // then it is fetched again
  static constexpr io::Duration failure_for = std::chrono::minutes(5);  // then it is tried again

  struct Advice {
    Finding finding;          // as things stand
    bool must_fetch = false;  // now, with fetched() or failed() to follow
    bool is_stale = false;    // what is fetched may well say otherwise: worth a wait
  };
  /// `id`: of the domain's TXT record; null: it has none, or nobody can tell.
  Advice ask(const std::string& domain, const std::optional<std::string>& id, io::WallTime now);

  void put(const std::string& domain, KeptPolicy&& kept);
  void fetched(const std::string& domain, const std::string& id, Policy&& policy, io::WallTime now);
  void failed(const std::string& domain, const std::string& id, Finding&& fault, io::WallTime now);
  /// Null: nothing was fetched.
  const KeptPolicy* find(const std::string& domain) const;

 private:
  struct Entry {
    KeptPolicy kept;
    Finding fault;  // of the last fetch
    std::string fault_id;
    io::WallTime retry_at{};
  };
  Entry& entry(const std::string& domain);

  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace sluice::engine::sts
