#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>

#include "engine/report/counters.h"
#include "engine/tlsrpt/day_folder.h"
#include "engine/tlsrpt/dispatch.h"

namespace sluice::engine::tlsrpt {

/// For the operator: one line.
struct News {
  bool is_trouble = false;
  std::string text;
};

/// Counts what TLS came to, keeps that on the disk, and sends the reports: README.md. On one loop;
/// may block it for the length of a few fdatasyncs.
class Clerk {
 public:
  static constexpr io::Duration tick_interval = std::chrono::minutes(1);
  static constexpr auto days_max = std::chrono::days(7);
  static constexpr io::Duration retry_first = std::chrono::minutes(5);
  static constexpr io::Duration retry_for = std::chrono::hours(24);
  static constexpr size_t look_ups_max = 64, dispatches_max = 16;  // at a time
  static constexpr size_t forgotten_max = 1u << 18;  // domains; then they are looked up again

  struct Options {
    std::string spool;
    Submitter submitter;
    dns::HostFinder::Options dns;
    Authorities authorities;
    report::TlsReportCounters& counters;
    std::function<void(News&&)> tell;
  };

  /// Reads SPOOL/tlsrpt/, which is its own from here on. Blocking.
  Clerk(io::EventLoop& loop, Options options);
  Clerk(const Clerk&) = delete;
  Clerk& operator=(const Clerk&) = delete;
  ~Clerk();

  void note(const std::vector<Outcome>& outcomes);
  /// To be called once a turn.
  void turn_ended();
  /// Ends what is under way, and writes what was counted. The last call; blocking.
  void stop();

 private:
  using Key = std::pair<Day, std::string>;

  void count(const Outcome& outcome);
  void tick();
  void begin_day();
  void drop_old_days();
  void list_due();
  void begin_look_ups();
  void looked_up(const std::string& domain, const dns::RecordSet& set);
  void begin_dispatches();
  void end_dispatches();
  void ended(const Key& key, const Dispatch::Result& result);
  void put_off(const Key& key, DomainCount& count, const Dispatch::Result& result);
  void write();
  Day day_now() const { return std::chrono::floor<std::chrono::days>(loop_.wall()); }
  void tell(bool is_trouble, std::string text) { options_.tell({is_trouble, std::move(text)}); }

  io::EventLoop& loop_;
  const Options options_;
  const DayFolder folder_;
  Day today_;
  std::map<Day, DayCount> days_;  // today's among them
  std::set<Day> changed_;         // since they were written
  bool is_disk_refusing_ = false;
  std::unordered_set<uint64_t> forgotten_;  // hashes of domains that want no reports today
  std::deque<std::string> to_look_up_;
  size_t looking_up_ = 0;
  std::unique_ptr<dns::HostFinder> finder_;
  Dispatch::Means means_;
  std::deque<Key> due_;
  std::map<Key, std::unique_ptr<Dispatch>> dispatches_;
  io::Timer timer_;
};

}  // namespace sluice::engine::tlsrpt
