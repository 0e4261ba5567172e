#pragma once

#include <string>
#include <vector>

#include "engine/tlsrpt/day_count.h"

namespace sluice::engine::tlsrpt {

/// Who reports, and to whom answers go.
struct Submitter {
  std::string organization, contact;
  std::string from;  // an address; its domain is who reports
  std::string hostname;

  std::string domain() const { return from.substr(from.rfind('@') + 1); }
};

/// What a domain is told of a day. Pure. A report is the same whenever it is made, its id
/// included: who gets it twice can tell.
class Report {
 public:
  Report(const Submitter& submitter, const std::string& domain, Day day)
      : submitter_(submitter), domain_(domain), day_(day) {}

  /// Unique for domain, day and the engine that reports: "20261122.9f86d081884c7d65@news.example".
  std::string id() const;
  /// RFC 8460 section 5.1; of the gzipped report.
  std::string filename() const;
  /// RFC 8460 section 4.4.
  std::string json(const DomainCount& count) const;
  /// The mail of RFC 8460 section 5.3, in CRLF lines; `gzipped`: what json() gives, compressed.
  std::string mail(const std::vector<std::string>& to, const DomainCount& count,
                   std::string_view gzipped, io::WallTime now) const;

 private:
  std::string unique() const;
  std::string words(const DomainCount& count) const;

  const Submitter& submitter_;
  const std::string& domain_;
  const Day day_;
};

/// RFC 1952.
std::string gzipped(std::string_view octets);

/// When the report of `day` is due: a minute to four hours after the day is over, by the domain
/// (RFC 8460 section 4.1).
io::WallTime due_time(Day day, std::string_view domain);

/// The same on every machine, whenever.
uint64_t hash_of(std::string_view text);

}  // namespace sluice::engine::tlsrpt
