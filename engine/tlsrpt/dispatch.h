#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "engine/dns/host_finder.h"
#include "engine/https/exchange.h"
#include "engine/tlsrpt/endpoint.h"
#include "engine/tlsrpt/report.h"
#include "io/event_loop.h"

namespace sluice::engine::tlsrpt {

/// The PEM file of those who vouch for a domain's web servers.
using Authorities = std::function<std::string(const std::string& domain)>;

/// One attempt to bring the report of a domain and day to all who are to have it and have not:
/// looks up who that is, queues a mail for those of `mailto`, posts it to those of `https`.
class Dispatch {
 public:
  static constexpr size_t endpoints_max = 10;  // of a record; others are passed over

  /// Borrowed.
  struct Means {
    io::EventLoop& loop;
    dns::HostFinder& finder;
    const Submitter& submitter;
    const std::string& spool;
    const Authorities& authorities;
  };
  /// All empty: the domain asks for no reports.
  struct Result {
    std::vector<std::string> queued, posted;  // URIs that have it now
    std::vector<std::string> failures;        // a line each: "https://x.test/: HTTP status 500"
  };

  /// Begins. All arguments outlive it, and `count` stays as it is.
  Dispatch(const Means& means, const std::string& domain, Day day, const DomainCount& count);
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;

  /// To be called once a turn.
  void turn_ended();
  /// It has ended, and nothing of it is in flight: result() is good.
  bool is_over() const { return pending_ == 0; }
  Result& result() { return result_; }
  /// Ends soon. No look-up may call back any more.
  void abandon();

 private:
  struct Post {
    Endpoint endpoint;
    std::unique_ptr<https::Exchange> exchange;  // null: its host is being looked up
  };

  void asked(const dns::RecordSet& set);
  void queue_mail(const std::vector<Endpoint>& to);
  void look_for_host(Post& post);
  void begin(Post& post, const dns::HostList& hosts);
  void fail(const std::string& uri, const std::string& why);

  const Means& means_;
  const std::string& domain_;
  const Report report_;
  const DomainCount& count_;
  std::string gzipped_;
  std::list<Post> posts_;
  size_t pending_ = 1;  // look-ups and exchanges
  Result result_;
};

}  // namespace sluice::engine::tlsrpt
