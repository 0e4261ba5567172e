#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/config.h"
#include "engine/mailing.h"
#include "engine/message.h"
#include "engine/protection.h"
#include "engine/queue/routing.h"
#include "engine/queue/rule_watch.h"
#include "engine/shard.h"
#include "io/timer_wheel.h"
#include "spool/rule_remover.h"
#include "spool/spool.h"

namespace sluice::engine {

/// What the engine has come to, of durable outcomes only; those of earlier runs of a campaign that
/// is still live included.
struct Totals {
  uint64_t recipients = 0, delivered = 0, failed = 0, expired = 0, cancelled = 0, unreadable = 0,
           in_doubt = 0;
  /// Waiting for another attempt: of their own, or with all of a destination that took no session.
  uint64_t deferred = 0;
  uint64_t held = 0;       // until somebody releases them
  uint64_t deferrals = 0;  // attempts that were deferred, in this run
  uint32_t sessions = 0;
  io::Instant last_fate{};  // when the latest became durable, in this run
  uint64_t fates() const {
    return delivered + failed + expired + cancelled + unreadable + in_doubt;
  }
};

/// The part of the engine there is one of, on shard 0: takes campaigns from the spool, spreads them
/// over the queues, counts their fates, finishes them, and stops the engine.
class Coordinator final : spool::Spool::Listener, queue::RuleWatch::Listener {
 public:
  /// Whoever runs the engine hears of it here, on shard 0's thread.
  class Observer {
   public:
    virtual void campaign_accepted(const spool::CampaignInfo& info, uint32_t recipients) = 0;
    virtual void campaign_finished(const spool::CampaignInfo& info,
                                   const spool::CampaignSummary& summary) = 0;
    /// A campaign that cannot be delivered by this engine; it stays in the spool. One line.
    virtual void campaign_refused(const std::string& message) = 0;
    /// Recovery passed over a stretch of the spool that cannot be read. One line.
    virtual void spool_damaged(const std::string& message) = 0;
    /// A file of rules/ that is no rule. One line.
    virtual void rule_unreadable(const std::string& message) = 0;
    /// SIGHUP came, and what it came to: the mistakes for which nothing changed, a line each.
    virtual void reloading() {}
    virtual void reloaded(const std::vector<std::string>& /*mistakes*/) {}
    /// What an operator should look at. One line.
    virtual void trouble(const std::string& /*message*/) {}
    /// A TLS report is on its way, or there. One line.
    virtual void tls_report(const std::string& /*message*/) {}
    /// No new work is begun; what is under way ends.
    virtual void stopping() {}
    /// Deliveries pause ("" : go on).
    virtual void storage_changed(const std::string& problem) = 0;

   protected:
    ~Observer() = default;
  };

  /// With `until_empty` the engine stops when nothing waits any more but what is held.
  Coordinator(Shard& shard, Mesh& mesh, spool::Spool& spool, const Config& config,
              const Protections& protections, bool until_empty, Observer& observer);

  /// Reads the rules, blocking.
  void start();
  /// Finishes what is under way, for at most stop_grace; then the loop of shard 0 stops.
  void stop();
  void reopen_logs();
  /// What waits goes by `config` from now on, which outlives this: to other hosts where it names
  /// others, also what is deferred; listeners and keys too. O(destinations of all live mailings,
  /// and what waits for those that changed). Attempts under way end as they were begun.
  void reload(const Config& config, Protections&& protections, intake::SmtpListeners&& listeners,
              const dkim::KeyringPtr& keys);
  const Protections& protections() const { return protections_; }

  const Totals& totals() const { return totals_; }
  uint64_t spool_bytes() const { return spool_.campaign_bytes(); }
  /// Campaigns that cannot be delivered by this engine.
  uint32_t refused() const { return refused_; }

  // Letters of the shards.
  void tally(const Tally& tally);
  void shard_stopped();
  void storage_news(const StorageNews& news);
  void letters(Letters&& news);
  void queue_news(const QueueNews& news);
  void trouble(const std::string& text) { observer_.trouble(text); }
  void tls_report(const std::string& text) { observer_.tls_report(text); }
  void turn_ended();

  static constexpr io::Duration stop_grace = std::chrono::seconds(10);

 private:
  struct Live {
    MailingPtr mailing;
    spool::CampaignSummary summary;
    uint32_t waiting = 0;
    uint32_t groups = 0;  // of the campaign, that were spread
  };
  void campaign_arrived(std::shared_ptr<const spool::Campaign> campaign) override;
  void mail_arrived(std::shared_ptr<const spool::MailSegment> segment) override;
  void campaign_unreadable(const std::string& path, const spool::Error& error) override;
  void summary_found(const spool::CampaignInfo& info) override { note_finished(info.id); }
  void rule_arrived(queue::Rule&& rule) override;
  void rule_unreadable(const std::string& message) override;
  void refuse(std::string message);
  void note_finished(const std::string& id);
  void remove_rules();
  spool::Progress progress_of(uint64_t uid);
  void take_up(const MailingPtr& mailing, spool::Progress&& recovered);
  void spread(const MailingPtr& mailing, spool::Progress&& recovered);
  void spread_letters(Live& live);
  void steer(const Live& live, const std::vector<queue::Routing::Span>& spans,
             const std::vector<Range>& concerned, bool makes_due, bool is_release);
  static std::vector<Range> changed(const std::vector<queue::Routing::Span>& before,
                                    const std::vector<queue::Routing::Span>& now);
  bool is_retried(const spool::Campaign& campaign, const std::vector<Range>& ranges,
                  io::WallTime since) const;
  bool is_growing(const Live& live) const;
  /// The campaign's recipients by route: ascending, neighbours of one route as one.
  std::vector<queue::Routing::Span> spans(const Mailing& mailing);
  const Route& route(const Mailing& mailing, const spool::Group& group);
  const Route& find_route(std::string_view domain, std::string_view next_hop,
                          std::string_view source, bool is_tls_optional);
  const DestinationPolicy& policy(std::string_view domain, std::string_view next_hop,
                                  std::string_view source, bool is_tls_optional);
  void finish(Live& live);
  bool is_all_held() const;
  void count();
  void broadcast(auto&& make);
  void grace_over();

  Shard& shard_;
  Mesh& mesh_;
  spool::Spool& spool_;
  const Config* config_;
  Protections protections_;
  const bool until_empty_;
  Observer& observer_;
  std::unordered_map<const Mailing*, Live> live_;                  // which do not move
  std::unordered_map<const spool::MailSegment*, Live*> segments_;  // of them, that grow
  queue::RuleWatch watch_;
  std::vector<queue::Rule> rules_;  // in the order in which they count
  std::set<std::string> finished_;  // ids that rules speak of
  spool::RuleRemover rule_remover_;
  io::Timer rules_timer_;
  std::deque<DestinationPolicy> policies_;  // each that is in use, once
  /// By policy and domain, which is "" where next hops are configured.
  std::map<std::pair<const DestinationPolicy*, std::string>, std::unique_ptr<Route>, std::less<>>
      routes_;
  using RoutesByDomain = std::map<std::string, const Route*, std::less<>>;
  std::map<std::string, RoutesByDomain> routes_of_letters_;  // by their sender's source
  std::deque<Senders> senders_;  // the last is in force; queues may read those before
  std::shared_ptr<const queue::Routing> routing_;     // of the last reload; null: there was none
  std::map<unsigned, std::string> storage_problems_;  // by shard
  std::string storage_problem_told_;
  std::vector<uint32_t> sessions_;     // by shard
  std::vector<QueueNews> queue_news_;  // likewise
  Totals totals_;
  io::Timer grace_;
  uint32_t refused_ = 0;
  unsigned stopped_ = 0;
  bool stopping_ = false, has_settled_ = false;
};

}  // namespace sluice::engine
