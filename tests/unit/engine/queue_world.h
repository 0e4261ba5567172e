#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/queue/home_queue.h"
#include "io/check.h"

namespace sluice::engine::queue {
using namespace std::chrono_literals;

/// A campaign of `n` recipients in blocks of ten, without a file: the queue looks at numbers only.
class Numbers final : public spool::Campaign {
 public:
  explicit Numbers(uint32_t n) : n_(n) { info_.accepted_at = io::WallTime(1000s); }
  const spool::CampaignInfo& info() const override { return info_; }
  uint32_t recipients() const override { return n_; }
  spool::Bytes message() const override { return {}; }
  uint32_t group_count() const override { return 0; }
  spool::Group group(uint32_t) const override { return {}; }
  uint32_t blocks() const override { return (n_ + 9) / 10; }
  spool::BlockRef block(uint32_t index) const override {
    return {.offset = 0, .bytes = 0, .first = index * 10, .count = std::min(10u, n_ - index * 10)};
  }
  uint32_t block_of(uint32_t recipient) const override { return recipient / 10; }
  io::File file() const override { return {}; }
  const std::string& path() const override { return info_.id; }
  uint64_t bytes() const override { return 0; }

 private:
  uint32_t n_;
  spool::CampaignInfo info_;
};

inline mail::Template content() {
  auto compiled = mail::Template::compile({.message = "From: a@b.example\n\nHello\n",
                                           .path = "m.eml",
                                           .columns = {"email"},
                                           .sender = "a@b.example"});
  CHECK(compiled);
  return *std::move(compiled);
}

inline MailingPtr mailing(uint32_t n, spool::Progress recovered = {},
                          Notices notices = Notices::log) {
  return std::make_shared<Mailing>(std::make_shared<Numbers>(n),
                                   CampaignMessage{.notices = notices}, content(),
                                   std::move(recovered));
}

inline const io::SocketAddress first_host = *io::SocketAddress::parse("192.0.2.1:25");
inline const io::SocketAddress second_host = *io::SocketAddress::parse("192.0.2.2:25");

inline dns::HostListPtr two_hosts(io::Instant good_until = io::never) {
  auto list = std::make_shared<dns::HostList>();
  list->hosts = {{"mx1.test", first_host, 10}, {"mx2.test", second_host, 20}};
  list->good_until = good_until;
  return list;
}

struct World final : HomeQueue::Outside {
  explicit World(unsigned n_shards = 2, uint32_t sessions_max = 20) : shards(n_shards) {
    policy.sessions_max = sessions_max;
    policy.retry.first = 60s, policy.retry.factor = 2, policy.retry.ceiling = 1h;
    policy.retry.jitter = 0;
    policy.expire.urgent = 24h, policy.expire.normal = 24h * 5, policy.expire.non_urgent = 24h * 7;
    queue.emplace(route, shards, InDoubtPolicy::hold);
    queue->hosts_found(two_hosts(), time());
  }
  void grant(unsigned shard, std::unique_ptr<Batch> batch, bool is_asked) override {
    unasked += !is_asked;
    granted[shard].push_back(std::move(batch));
  }
  void permit(unsigned shard, uint32_t sessions, const HostPlan& given) override {
    permits[shard] = sessions;
    plans[shard] = given;
  }
  void end(std::unique_ptr<Batch> batch, const Ending& ending) override {
    endings.emplace_back(std::move(batch), ending);
  }
  void find_hosts() override { ++finds; }
  void recall() override { ++recalls; }
  void depart(AddSource&& departure) override { departures.push_back(std::move(departure)); }
  void note_wait(const Mailing&, const Waited& waited) override { waits.push_back(waited); }

  HomeQueue::Now time() const { return {now, io::WallTime{} + now.time_since_epoch(), middle}; }
  void serve() { queue->serve(time(), *this); }
  void add(MailingPtr m, std::vector<Range> ranges, Orders orders = {}) {
    queue->add(std::move(m), std::move(ranges), {}, std::move(orders), time());
  }
  void steer(const MailingPtr& m, Orders orders, const std::vector<Range>& due = {},
             bool is_release = false) {
    queue->steer(m, std::move(orders), due, is_release, time());
  }
  /// Lends all that may go.
  void lend_all() {
    news(0, 1, 1, 0, 1);
    for (int i = 0; i < 100; ++i) queue->want(0);
    serve();
  }
  void give_back(const MailingPtr& m, Item item, io::Instant due) {
    queue->give_back({.mailing = m, .item = item, .due = due}, time());
  }
  std::multiset<uint32_t> numbers() {
    std::multiset<uint32_t> all;
    for (auto& [shard, batches] : granted)
      for (auto& batch : batches)
        for (const Item item : batch->items) all.insert(item.number);
    return all;
  }
  void news(unsigned shard, uint32_t opened, uint32_t proven, uint32_t refused, uint32_t open_now) {
    const SetbackPtr why = refused > 0 && opened == 0 ? std::make_shared<const Setback>() : nullptr;
    queue->session_news({.route = &route,
                         .shard = shard,
                         .opened = opened,
                         .proven = proven,
                         .refused = refused,
                         .open_now = open_now,
                         .setback = why,
                         .hosts = {}},
                        time());
  }
  /// What the ender does with those told of: they come back as they were.
  void all_told() {
    for (auto& [batch, ending] : std::exchange(endings, {})) {
      EXPECT_EQ(ending.kind, spool::OutcomeKind::deferred);
      for (const Item item : batch->items) give_back(batch->mailing, item, now);
      queue->ended();
    }
  }
  static constexpr uint64_t middle = uint64_t{1} << 63;  // no jitter
  unsigned shards;
  DestinationPolicy policy;
  Route route{"example.test", policy};
  io::Instant now{1000s};
  std::optional<HomeQueue> queue;
  std::map<unsigned, std::vector<std::unique_ptr<Batch>>> granted;
  std::map<unsigned, uint32_t> permits;
  std::map<unsigned, HostPlan> plans;
  std::vector<std::pair<std::unique_ptr<Batch>, Ending>> endings;
  std::vector<Waited> waits;
  std::vector<AddSource> departures;
  int finds = 0, recalls = 0, unasked = 0;
};

}  // namespace sluice::engine::queue
