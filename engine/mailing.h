#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/config.h"
#include "engine/mail/template.h"
#include "io/socket_address.h"
#include "spool/campaign.h"
#include "spool/recovery.h"

namespace sluice::engine {

/// A campaign as the engine delivers it: immutable, shared by all shards. The coordinator holds it
/// until the last fate is durable.
struct Mailing : std::enable_shared_from_this<Mailing> {
  Mailing(std::shared_ptr<const spool::Campaign> c, CampaignMessage m, mail::Template t,
          spool::Progress p)
      : campaign(std::move(c)),
        message(std::move(m)),
        content(std::move(t)),
        recovered(std::move(p)) {}

  std::shared_ptr<const spool::Campaign> campaign;
  CampaignMessage message;
  mail::Template content;
  spool::Progress recovered;  // what earlier runs achieved

  io::WallTime accepted_at() const { return campaign->info().accepted_at; }
};
using MailingPtr = std::shared_ptr<const Mailing>;

/// Where a queue's mail goes: all destinations with the same next hops and policy share one. Lives
/// as long as the engine.
struct Route {
  std::string name;  // the next hops, or the domain: what operators call the destination
  DestinationPolicy policy;
  std::vector<io::SocketAddress> hosts;  // tried in order in one attempt
  uint32_t number = 0;  // in the order they were found: orders what is kept by route
  unsigned home = 0;    // the shard that owns the queue
};

/// One recipient that waits: 8 octets.
struct Item {
  uint32_t number = 0;    // in its campaign
  uint16_t attempts = 0;  // made so far
};

/// Recipients of one block of one campaign, lent by a queue's home to a shard.
struct Batch {
  MailingPtr mailing;
  uint32_t block = 0;
  std::vector<Item> items;  // by number, ascending
};

}  // namespace sluice::engine
