#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/config.h"
#include "engine/dns/host_finder.h"
#include "engine/letter.h"
#include "engine/mail/template.h"
#include "engine/senders.h"
#include "engine/smtp/verdict.h"
#include "io/socket_address.h"
#include "spool/campaign.h"
#include "spool/mail_segment.h"
#include "spool/recovery.h"

namespace sluice::engine {

/// A campaign as the engine delivers it, or a segment of mail, whose messages (letters) are as many
/// campaigns in one: immutable but for what a segment gains, shared by all shards. The coordinator
/// holds it until the last fate is durable.
struct Mailing : std::enable_shared_from_this<Mailing> {
  Mailing(std::shared_ptr<const spool::Campaign> c, CampaignMessage m, mail::Template t,
          const spool::Progress& earlier)
      : campaign(std::move(c)),
        message(std::move(m)),
        content(std::move(t)),
        tried(earlier.tried()) {}

  /// What letters have in common: their senders are told of failures.
  Mailing(std::shared_ptr<const spool::MailSegment> s, const spool::Progress& earlier)
      : campaign(s),
        letters(s.get()),
        message({.notices = Notices::sender, .priority = priority_of_class(s->mail_class())}),
        content(Letter::form()),
        tried(earlier.tried()) {}

  std::shared_ptr<const spool::Campaign> campaign;
  const spool::MailSegment* letters = nullptr;  // the same; null for a campaign
  CampaignMessage message;
  mail::Template content;
  uint32_t weight = 1;  // of a campaign, in its queues
  /// Of letters: by whom their flows go, which a reload replaces. Lives as long as the engine.
  mutable std::atomic<const Senders*> senders = nullptr;
  std::vector<uint64_t> tried;  // by earlier runs: spool::Progress::tried()

  bool was_tried(uint32_t recipient) const {
    return recipient / 64 < tried.size() && (tried[recipient / 64] >> (recipient % 64) & 1);
  }
  /// Of this recipient's message. O(log blocks) for letters.
  io::WallTime accepted_at(uint32_t recipient) const { return campaign->arrival_of(recipient); }
  /// Who sends to a group of its recipients: an address, of letters its domain.
  std::string_view sender_of(const spool::Group& group) const {
    return letters ? group.sender : message.sender;
  }
  /// What mail to a group of its recipients is sent from; "": what the destination's is.
  /// O(patterns).
  std::string source_of(const spool::Group& group, const Config& config) const {
    if (config.has_source(message.source)) return std::string(message.source);
    return config.sender(sender_of(group)).source;
  }
  /// Of a recipient's entry.
  size_t entry_fields() const { return letters ? LetterRecipient::fields : content.columns(); }
  /// How long it may wait, from its acceptance.
  io::Duration lifetime(const DestinationPolicy& policy) const {
    switch (message.priority) {
      case Priority::urgent:     return policy.expire.urgent;
      case Priority::normal:     return policy.expire.normal;
      case Priority::non_urgent: return policy.expire.non_urgent;
    }
    return policy.expire.normal;
  }
};
using MailingPtr = std::shared_ptr<const Mailing>;

/// Where mail goes: to one domain's hosts as DNS names them, or to the next hops that all
/// destinations of one policy share. Lives as long as the engine.
struct Route {
  std::string name;  // the domain, or the next hops: what operators call the destination
  const DestinationPolicy& policy;  // shared by all routes it is the same for
  uint32_t number = 0;              // in the order they were found: orders what is kept by route
  unsigned home = 0;                // the shard that owns the queue

  bool is_by_mx() const { return policy.next_hops.empty(); }
  /// Mail by either goes to the same hosts.
  bool has_hosts_of(const Route& other) const {
    return policy.next_hops == other.policy.next_hops && policy.port == other.policy.port &&
           (!is_by_mx() || name == other.name);
  }
  dns::Target target() const {
    return {.domain = is_by_mx() ? name : "",
            .next_hops = policy.next_hops,
            .port = policy.port,
            .has_dane = policy.has_dane()};
  }
};

/// One recipient that waits: 16 octets.
struct Item {
  uint32_t number = 0;  // in its campaign
  /// Setbacks of its queue (queue::HomeQueue) that `attempts` and `refusals` know of.
  int32_t setbacks = 0;
  uint16_t attempts = 0;   // made so far
  uint16_t refusals = 0;   // connections in a row before now that came to nothing
  uint16_t transfers = 0;  // attempts that failed on an open session
  bool was_deferred = false;
  bool was_told = false;  // its sender, of its delay
};

/// Recipients of one block of one campaign, lent by a queue's home to a shard.
struct Batch {
  MailingPtr mailing;
  uint32_t block = 0;
  std::vector<Item> items;  // by number, ascending
};

/// Why a destination takes nothing now, or never will: all its hosts refused, or DNS names none.
struct Setback {
  bool is_final = false;
  bool is_ours = false;  // this machine's: nobody's attempt
  smtp::Stage stage = smtp::Stage::connect;
  uint16_t code = 0;
  smtp::EnhancedCode enhanced;
  std::string text, reason;  // as in smtp::Verdict
  std::string host;
  io::SocketAddress remote;
  std::array<uint32_t, smtp::stage_count> phases_us{};
};
using SetbackPtr = std::shared_ptr<const Setback>;

}  // namespace sluice::engine
