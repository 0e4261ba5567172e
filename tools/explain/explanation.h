#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/dns/host_list.h"
#include "engine/priority.h"
#include "engine/report/spool_view.h"
#include "engine/sts/policy_book.h"
#include "engine/tlsrpt/day_count.h"
#include "tools/explain/policy_table.h"
#include "tools/explain/timeline.h"

namespace sluice::tools {

/// What waits for the address's destination, and for the address itself.
struct WaitingThere {
  uint64_t recipients = 0, held = 0, deferred = 0;
  std::optional<io::WallTime> next_attempt;  // the earliest
  struct Own {
    std::string id, campaign, state, reason;
    uint32_t attempts = 0;
    std::optional<io::WallTime> next_attempt;
    io::WallTime expires{};
  };
  std::vector<Own> own;
};
/// `address` is "" when only a domain is asked for.
WaitingThere waiting_there(engine::report::SpoolView& view, const std::string& address,
                           const std::string& domain);

/// Everything `sluice explain` says.
struct Explanation {
  std::string address, domain;  // normal form; the address may be ""
  io::WallTime now{}, accepted_at{};
  engine::Priority priority = engine::Priority::normal;
  engine::DestinationPolicy policy;
  std::vector<PolicyLine> lines;
  std::string author;                          // domain of the From field; "": nobody said
  bool has_keys = false;                       // for DKIM, of whatever domain
  std::vector<engine::DkimPolicy> signatures;  // that such a message gets, in their time
  engine::dns::HostListPtr hosts;
  std::optional<std::string> policy_id;                // of MTA-STS, as DNS has it
  std::optional<engine::sts::KeptPolicy> kept_policy;  // as the spool has it
  std::vector<std::string> report_uris;  // where the domain wants TLS reports, if we make any
  std::optional<engine::tlsrpt::DomainCount> tls_today;  // as the spool has it
  std::vector<TimelineEvent> events;
  std::optional<WaitingThere> waiting;                // nullopt: there is no spool to look at
  engine::Notices notices = engine::Notices::sender;  // report.notices
  std::string hostname;                               // engine.hostname

  std::string text() const;
  std::string json() const;

 private:
  const PolicyLine& line(std::string_view key) const;
  std::string hosts_text() const;
  std::string sources_text() const;
  std::string signatures_text() const;
  bool has_policy_in_force() const { return kept_policy && now < kept_policy->expires; }
  std::string policy_text() const;
  std::string reports_text() const;
  std::string lines_text(std::string_view heading, std::string_view prefix) const;
  std::string waiting_text() const;
  std::string timeline_text() const;
};

}  // namespace sluice::tools
