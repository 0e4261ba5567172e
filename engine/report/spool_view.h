#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/config.h"
#include "engine/mailing.h"
#include "engine/queue/rule.h"
#include "engine/report/routes.h"
#include "io/proactor.h"
#include "spool/campaign.h"
#include "spool/recovery.h"

namespace sluice::engine::report {

/// How a recipient without a fate waits. `deferred`: for another attempt, of its own or with others
/// of its destination. `in_doubt`: whether it arrived is not known, and it is not sent again.
/// `cancelled`: by a rule that the engine has not carried out yet.
enum class WaitState : uint8_t { waiting, deferred, held, in_doubt, cancelled };
std::string_view name(WaitState state);

/// One recipient that waits.
struct Waiting {
  uint32_t number = 0;
  WaitState state = WaitState::waiting;
  uint32_t attempts = 0;
  bool is_shared = false;  // attempts and next_attempt are of all that wait for its destination
  std::optional<io::WallTime> next_attempt;  // not in the past while an engine runs; none: held
};

/// One campaign that is not finished, or one segment of relayed mail, whose messages (letters) have
/// each their own sender and time of acceptance.
class WaitingMail {
 public:
  /// What connections to each destination came to, for whatever mail.
  using RouteWaits = std::map<Routes::Key, spool::Waits>;

  /// `route_waits` is borrowed.
  WaitingMail(MailingPtr mailing, spool::Progress progress, const std::vector<queue::Rule>& rules,
              const Config& config, Routes& routes, const RouteWaits& route_waits);

  const Mailing& mailing() const { return *mailing_; }
  const MailingPtr& shared_mailing() const { return mailing_; }
  const spool::Campaign& campaign() const { return *mailing_->campaign; }
  bool is_of_letters() const { return mailing_->letters != nullptr; }
  const CampaignMessage& message() const { return mailing_->message; }
  const spool::Progress& progress() const { return progress_; }
  const DestinationPolicy& policy(size_t group) const { return *groups_[group].policy; }
  /// The group that holds `number`.
  size_t group_of(uint32_t number) const;
  /// Of a recipient of `group`. O(log messages) for letters.
  io::WallTime expires(uint32_t number, size_t group) const;

  /// Visits recipients of `range` that have no fate, ascending.
  template <class Visit>
  void visit(Range range, Visit&& visit) const;
  /// nullopt when it has its fate.
  std::optional<Waiting> find(uint32_t number) const;

 private:
  struct Group {
    const DestinationPolicy* policy = nullptr;
    const spool::Waits* waits = nullptr;  // of its route, which refused connections to this mail
    const spool::Waits* route_waits = nullptr;  // and to any
  };
  static bool contains(const std::vector<Range>& ranges, size_t& at, uint32_t number);
  Waiting describe(uint32_t number, size_t group, bool is_held, bool is_cancelled) const;

  MailingPtr mailing_;
  spool::Progress progress_;
  queue::Standing standing_;
  RouteWaits waits_;
  std::vector<Group> groups_;  // of letters: runs of recipients, as those of the segment
};

/// What waits in a spool, campaigns and relayed mail, read as it lies on disk, beside an engine
/// that may run; nothing is written. Memory: that of the journal (a bit a recipient, and what the
/// recipients came to that were tried and wait), of the campaigns' messages and groups, and of the
/// indexes of mail segments of which something waits (about 50 octets a message); none for
/// recipients that wait for their first attempt or with others of their destination, and none for
/// what messages contain. Time: beside that, a segment that is still written has no index and is
/// read whole, 64 MiB a shard at most.
class SpoolView {
 public:
  /// Blocking. `missing` when there is no spool.
  static std::expected<std::unique_ptr<SpoolView>, spool::Error> open(io::Proactor& proactor,
                                                                      const Config& config);
  ~SpoolView();

  const std::vector<WaitingMail>& mails() const { return mails_; }  // by acceptance
  const std::vector<queue::Rule>& rules() const { return rules_; }
  Routes& routes() { return routes_; }
  io::Proactor& proactor() const { return proactor_; }
  const Config& config() const { return config_; }
  io::WallTime now() const { return now_; }
  /// The process that delivers from this spool; nullopt: none.
  std::optional<int> engine_pid() const { return engine_pid_; }
  /// What could not be read: one line each.
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  SpoolView(io::Proactor& proactor, const Config& config);
  std::expected<void, spool::Error> open_segments();
  void note(const std::vector<spool::Damage>& damages);
  std::expected<spool::Recovered, spool::Error> read_journal();
  std::expected<void, spool::Error> read_rules();
  std::expected<void, spool::Error> open_campaigns(spool::Recovered& recovered);
  void add(std::shared_ptr<const spool::Campaign> campaign, spool::Recovered& recovered);
  void add_segments(spool::Recovered& recovered);
  void add(MailingPtr mailing, spool::Recovered& recovered);
  void describe();
  void look_for_engine();

  io::Proactor& proactor_;
  const Config& config_;
  const io::WallTime now_;
  Routes routes_;
  std::vector<queue::Rule> rules_;
  std::vector<std::pair<MailingPtr, spool::Progress>> found_;  // until it is described
  WaitingMail::RouteWaits route_waits_;
  std::vector<WaitingMail> mails_;
  std::vector<std::shared_ptr<const spool::MailSegment>> segments_;  // until they are added
  std::vector<io::File> files_;
  std::vector<std::string> problems_;
  std::optional<int> engine_pid_;
};

template <class Visit>
void WaitingMail::visit(Range range, Visit&& visit) const {
  const uint64_t end =
      std::min<uint64_t>(uint64_t{range.first} + range.count, campaign().recipients());
  if (range.first >= end) return;
  size_t group = group_of(range.first), held = 0, cancelled = 0;
  const auto groups = campaign().groups();
  for (uint64_t at = range.first; at < end; ++at) {
    const auto number = static_cast<uint32_t>(at);
    const size_t word = number / 64;
    if (number % 64 == 0 && word < progress_.fates.size() && progress_.fates[word] == UINT64_MAX) {
      at += 63;
      continue;
    }
    if (progress_.has_fate(number)) continue;
    while (groups[group].first + uint64_t{groups[group].count} <= at) ++group;
    const bool is_held = contains(standing_.held, held, number),
               is_cancelled = contains(standing_.cancelled, cancelled, number);
    visit(describe(number, group, is_held, is_cancelled), group);
  }
}

}  // namespace sluice::engine::report
