#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "spool/error.h"

namespace sluice::spool {

enum class OutcomeKind : uint8_t {
  deferred = 0,  // not a fate: attempt count and time of the next attempt
  delivered = 1,
  failed = 2,
  expired = 3,
  cancelled = 4,
  in_doubt = 5,  // whether it arrived will never be known, and it is not sent again
  intent = 6,    // not a fate: the final dot may have left
  waited = 7,    // not a fate, nor of one recipient: see Outcome
};

/// What an attempt came to, for one recipient of one campaign. `waited`: what a connection came to,
/// for all recipients of the campaign that waited for the destination of this one (FORMAT.md
/// section 5.2); `attempt` is of those of whom nothing else is known.
struct Outcome {
  uint64_t campaign = 0;  // uid
  uint32_t recipient = 0;
  uint16_t attempt = 0;  // attempts made so far
  OutcomeKind kind = OutcomeKind::deferred;
  io::WallTime next_attempt{};  // deferred and waited; of an intent its own time; kept to the ms
  uint16_t refusals = 0;        // deferred and waited: connections in a row that came to nothing
  uint16_t transfers = 0;       // deferred only: attempts that failed on an open session
  bool was_told = false;        // deferred only: its sender was told of the delay
  io::WallTime at{};            // waited only: when; not after `next_attempt`, to the millisecond
};

/// A segment that no journal writes any more, and the campaigns it speaks of.
struct SealedSegment {
  std::string path;
  std::vector<uint64_t> campaigns;  // uids, each once
  uint64_t bytes = 0;
};

/// One shard's journal of outcomes: an append-only chain of segments with group commit (FORMAT.md,
/// "Journal"). After append() an outcome is in memory only. After a commit whose position covers
/// it, it is on disk: written and fdatasynced, sharing both with all that was appended before the
/// commit began. One commit runs at a time; what is appended meanwhile goes with the next. When the
/// disk refuses, nothing is lost or acknowledged: the journal is `stalled`, keeps what it holds and
/// tries again every second. It is stalled already when no more disk can be reserved ahead: commits
/// go on then, in what is reserved, for the fates of what is under way.
class Journal {
 public:
  class Listener {
   public:
    /// Everything append()ed up to `position` is durable.
    virtual void journal_committed(uint64_t position) = 0;
    /// Called once when writing fails; deliveries should pause, for their fates cannot be stored.
    virtual void journal_stalled(const Error& error) = 0;
    virtual void journal_resumed() = 0;

   protected:
    ~Listener() = default;
  };

  /// `spool` is the spool's folder, `sequence` is above that of every segment there; `sealed`:
  /// segments of earlier runs to look after (reclaim). Nothing is created before the first append.
  static std::unique_ptr<Journal> create(io::EventLoop& loop, const std::string& spool,
                                         unsigned shard, uint64_t sequence,
                                         std::vector<SealedSegment> sealed, Listener& listener);
  /// Waits for what is in flight; other operations' callbacks may run meanwhile.
  virtual ~Journal() = default;

  /// Position of this outcome: counts from 1.
  virtual uint64_t append(const Outcome& outcome) = 0;
  virtual bool has_pending() const = 0;  // appended and in no commit yet
  virtual bool is_committing() const = 0;
  virtual bool is_stalled() const = 0;
  virtual uint64_t durable() const = 0;

  /// Starts a commit of all that is pending, unless one runs, writing fails (the retry takes it
  /// along), or nothing is pending.
  virtual void commit() = 0;

  /// All recipients of the campaign have durable fates and its file says so: segments that speak of
  /// no other live campaign are unlinked.
  virtual void campaign_finished(uint64_t uid) = 0;

  virtual uint64_t bytes_on_disk() const = 0;
};

}  // namespace sluice::spool
