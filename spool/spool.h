#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "io/event_loop.h"
#include "spool/campaign.h"
#include "spool/error.h"
#include "spool/journal.h"
#include "spool/mail_segment.h"
#include "spool/recovery.h"

namespace sluice::spool {

/// A spool folder owned by this process: the engine's face of it. One per process; used by the
/// shard that coordinates (shard 0).
///   FOLDER/owner              locked while an engine runs; holds its pid
///   FOLDER/campaigns/*        one file a campaign, handed off by rename (campaign.h)
///   FOLDER/journal/*          segments of outcomes (journal.h)
///   FOLDER/mail/*             segments of mail that came one message at a time (mail_writer.h)
///   FOLDER/rules/*            what operators said of mail that waits (rule_files.h)
class Spool {
 public:
  class Listener {
   public:
    /// A campaign waits to be delivered: one that was there at start, or was handed off just now.
    /// Called once for each.
    virtual void campaign_arrived(std::shared_ptr<const Campaign> campaign) = 0;
    /// A segment of mail that an earlier run left, sealed. Called once for each, from start().
    virtual void mail_arrived(std::shared_ptr<const MailSegment> segment) = 0;
    /// A file of campaigns/ cannot be opened; it is left alone.
    virtual void campaign_unreadable(const std::string& path, const Error& error) = 0;
    /// The summary of one that an earlier run finished.
    virtual void summary_found(const CampaignInfo& info) = 0;

   protected:
    ~Listener() = default;
  };

  /// Creates the folders when missing, takes the lock (`locked` names the owner's pid), recovers
  /// the journal and the mail and forgets what the journal says of campaigns that are over.
  /// Blocking.
  static std::expected<std::unique_ptr<Spool>, Error> open(io::EventLoop& loop,
                                                           const std::string& folder);
  virtual ~Spool() = default;

  /// What recovery found; the caller may move its parts out.
  virtual Recovered& recovered() = 0;
  virtual const std::string& folder() const = 0;

  /// Opens the campaigns there are and watches for new ones (noticed within milliseconds); also
  /// sweeps the temporary files of dead submitters.
  virtual void start(Listener& listener) = 0;
  /// Has everything that was there when start() was called been announced, and is no opening under
  /// way? ("until empty" asks.)
  virtual bool is_settled() const = 0;

  /// Takes over a segment that a MailWriter of this run began and told of: it is counted in
  /// campaign_bytes(), and its file is closed when it is finished, or with the Spool.
  virtual void adopt(std::shared_ptr<const MailSegment> segment) = 0;

  /// Replaces the campaign's file by its summary, durably: the id stays known, the space is free.
  /// Where the id need not stay known nothing is left: so of a mail segment, which must be sealed.
  /// All fates must be durable. `done` comes from a later turn; on an error (disk full) it is tried
  /// again every second, and `done` is not called before it succeeded.
  virtual void finish(std::shared_ptr<const Campaign> campaign, const CampaignSummary& summary,
                      std::function<void()> done) = 0;

  /// Octets on disk of all campaigns and mail segments announced or adopted, and not finished.
  /// O(mail segments).
  virtual uint64_t campaign_bytes() const = 0;

  /// Stops watching and waits for nothing: after the next turns no operation of it is in flight.
  /// What finish() was asked for until now may still be done, and told.
  virtual void stop() = 0;
  virtual bool is_in_flight() const = 0;
};

}  // namespace sluice::spool
