#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/message.h"
#include "io/clock.h"

namespace sluice::engine::queue {

/// What of one campaign goes by one route and was not lent yet: a cursor over ranges, whatever the
/// number of recipients.
class Source {
 public:
  Source(MailingPtr mailing, std::vector<Range> ranges)
      : mailing_(std::move(mailing)), ranges_(std::move(ranges)) {}

  /// The next recipients of one block that wait: no fate, not deferred by an earlier run. nullptr
  /// at the end.
  std::unique_ptr<Batch> next();

 private:
  MailingPtr mailing_;
  std::vector<Range> ranges_;
  size_t range_ = 0;
  uint32_t offset_ = 0;  // within the range
};

/// A route's queue at its home shard: who is next, who waits until when, how many sessions. Pure:
/// time comes in, letters go out through the caller.
///
/// Sessions ramp up: one at first and after the host refused all, then doubling with each that
/// opens, up to sessions_max. When none is open and one is refused, the queue backs off on the
/// retry curve; a host that refuses one beside open ones is left at what it took for a while.
class HomeQueue {
 public:
  HomeQueue(const Route& route, unsigned shards)
      : route_(route), permits_(shards, 0), hungry_(shards, 0), open_(shards, 0) {}

  void add(MailingPtr mailing, std::vector<Range> ranges);
  void give_back(Returned&& returned);

  void want(unsigned shard) { ++hungry_[shard]; }
  /// `random` spreads the back-off.
  void session_news(const SessionNews& news, io::Instant now, uint64_t random);

  /// Calls grant(shard, unique_ptr<Batch>) for those that want one as far as there are recipients,
  /// and permit(shard, sessions) where the number changed. Call after any of the above and at
  /// next().
  template <class Grant, class Permit>
  void serve(io::Instant now, Grant&& grant, Permit&& permit);

  /// When to serve() again although nothing came; `never` when nothing waits for time.
  io::Instant next(io::Instant now) const;

  const Route& route() const { return route_; }

 private:
  struct Later {
    bool operator()(const Returned& a, const Returned& b) const { return a.due > b.due; }
  };
  std::unique_ptr<Batch> next_batch(io::Instant now);
  std::unique_ptr<Batch> next_deferred(io::Instant now);
  uint32_t share(unsigned shard) const;
  uint32_t open() const;

  const Route& route_;
  std::deque<Source> sources_;                     // in turn, a batch each
  std::vector<Returned> deferred_;                 // heap, earliest first
  std::vector<uint32_t> permits_, hungry_, open_;  // by shard
  uint32_t allowed_ = 1;
  io::Instant no_growth_until_{};  // the host refused a session while others were open
  uint32_t refusals_ = 0;          // in a row
  io::Instant backed_off_until_{};
  unsigned turn_ = 0;  // the shard asked first for hunger
};

template <class Grant, class Permit>
void HomeQueue::serve(io::Instant now, Grant&& grant, Permit&& permit) {
  if (now < backed_off_until_) {
    for (unsigned s = 0; s < permits_.size(); ++s)
      if (permits_[s] != 0) permit(s, permits_[s] = 0);
    return;
  }
  for (unsigned s = 0; s < permits_.size(); ++s) {
    const uint32_t sessions = share(s);
    if (permits_[s] != sessions) permit(s, permits_[s] = sessions);
  }
  for (unsigned unserved = 0; unserved < hungry_.size();) {
    turn_ = (turn_ + 1) % static_cast<unsigned>(hungry_.size());
    if (hungry_[turn_] == 0 || permits_[turn_] == 0) {
      ++unserved;
      continue;
    }
    auto batch = next_batch(now);
    if (!batch) return;
    --hungry_[turn_];
    unserved = 0;
    grant(turn_, std::move(batch));
  }
}

}  // namespace sluice::engine::queue
