#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>

#include "engine/dkim/key.h"
#include "engine/smtp/stage.h"
#include "engine/tls_outcome.h"

namespace sluice::engine::report {

/// A number that one thread changes and any may read at any time: no lock, no locked instruction.
class Counter {
 public:
  void add(uint64_t n = 1) { set(value() + n); }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

/// How often something took how long; `bounds_us` ascend. Written and read like a Counter; one that
/// is read meanwhile may lack an observation in some of its numbers. O(bounds).
template <const auto& bounds_us>
class Histogram {
 public:
  static constexpr size_t buckets = bounds_us.size() + 1;

  void observe(uint64_t us) {
    size_t bucket = 0;
    while (bucket < bounds_us.size() && us > bounds_us[bucket]) ++bucket;
    counts_[bucket].add();
    sum_us_.add(us);
  }
  /// What took at most bounds_us[bucket], and more than the bound before it; the last bucket: what
  /// took longer than all bounds.
  uint64_t count(size_t bucket) const { return counts_[bucket].value(); }
  uint64_t sum_us() const { return sum_us_.value(); }

 private:
  std::array<Counter, buckets> counts_;
  Counter sum_us_;
};

/// 1 ms to 10 min: the longest deadline of RFC 5321 section 4.5.3.2.
inline constexpr auto phase_bounds_us =
    std::to_array<uint64_t>({1'000, 3'000, 10'000, 30'000, 100'000, 300'000, 1'000'000, 3'000'000,
                             10'000'000, 30'000'000, 120'000'000, 600'000'000});
/// 10 ms to 5 days: the expiry of normal mail.
inline constexpr auto delivery_bounds_us = std::to_array<uint64_t>(
    {10'000, 30'000, 100'000, 300'000, 1'000'000, 3'000'000, 10'000'000, 60'000'000, 300'000'000,
     1'800'000'000, 7'200'000'000, 28'800'000'000, 86'400'000'000, 432'000'000'000});

/// Replies by which receivers put mail off, and that postmasters tell apart.
inline constexpr auto deferral_codes = std::to_array<uint16_t>({421, 450, 451, 452});

/// What one shard has done since the engine started. That shard's thread alone writes, on lines of
/// the cache that no other writes to.
struct alignas(128) ShardCounters {
  // Recipients whose fate is durable.
  Counter delivered, failed, expired, cancelled, in_doubt, unreadable;
  Counter deferrals;        // attempts that failed for now, durably
  Counter sessions_opened;  // that took mail
  Counter sessions_failed;  // that no host took
  /// Outcomes of TLS, by policy and result.
  std::array<std::array<Counter, tls_results>, tls_policy_types> tls;
  std::array<Counter, dkim::algorithms> dkim_signatures;  // made, by algorithm
  Counter dkim_signing_ns;    // that they took, with all that is read and hashed for them
  Counter tls_outcomes_lost;  // that the reporter had no room for
  /// Waits in a phase, up to the end of a transaction or session. A phase without a wait (its reply
  /// came with another one's) is not counted.
  std::array<Histogram<phase_bounds_us>, smtp::stage_count> phases;
  Histogram<delivery_bounds_us> delivery;  // from acceptance
  /// Why attempts were deferred, told and not yet durable: by phase and, as in deferral_codes, the
  /// reply's code; then other replies, then none.
  std::array<std::array<Counter, deferral_codes.size() + 2>, smtp::stage_count> deferral_reasons;

  void observe_deferral(smtp::Stage stage, uint16_t code) {
    size_t reason = 0;
    while (reason < deferral_codes.size() && deferral_codes[reason] != code) ++reason;
    deferral_reasons[static_cast<size_t>(stage)][code == 0 ? deferral_codes.size() + 1 : reason]
        .add();
  }

  void observe_phases(const std::array<uint32_t, smtp::stage_count>& phases_us) {
    for (size_t i = 0; i < phases_us.size(); ++i)
      if (phases_us[i] > 0) phases[i].observe(phases_us[i]);
  }
};

/// The tlsrpt::Reporter writes.
struct TlsReportCounters {
  Counter queued, posted;  // endpoints that have a report
  Counter failed;          // reports that were given up
  Counter outcomes_lost;   // for want of room among the counts
  Counter domains;         // counted today, as it stands
};

/// The engine as a whole. Shard 0 writes.
struct EngineCounters {
  Counter accepted;  // recipients, since the engine started
  // As it stands:
  Counter campaigns, waiting, deferred, held, sessions, spool_bytes;
};

/// All of it: lives as long as the engine, and is read by other threads.
struct Counters {
  explicit Counters(unsigned count) : shards(count) {}

  EngineCounters engine;
  TlsReportCounters tls_reports;
  std::deque<ShardCounters> shards;
};

}  // namespace sluice::engine::report
