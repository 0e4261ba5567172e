#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/dns/dnssec_trust.h"
#include "engine/dns/record_cache.h"
#include "engine/dns/record_set.h"
#include "engine/dns/send_window.h"
#include "engine/dns/server_channel.h"
#include "io/event_loop.h"

namespace sluice::engine::dns {

/// Record sets by name, from the cache or from the servers, which are asked one after the other,
/// round after round, until one answers or the time for it is over. What is asked for by many is
/// looked up once. Look-ups beyond what the servers' windows allow wait their turn; while no server
/// answers anything, for no longer than a look-up lasts.
class Resolver {
 public:
  /// What the caches keep: RFC 2181 section 8 and RFC 2308 section 7, with a floor under each so
  /// that a TTL of 0 makes no storm.
  static constexpr io::Duration positive_least = std::chrono::seconds(5),
                                positive_most = std::chrono::hours(24),
                                negative_least = std::chrono::seconds(30),
                                negative_most = std::chrono::hours(1),
                                failed_for = std::chrono::seconds(10);
  static constexpr uint32_t channels_max = 16;  // to one server
  /// After that a question is no longer in a socket's buffer, but with a server that takes its
  /// time, or lost: it does not count against the window.
  static constexpr io::Duration fresh_for = std::chrono::milliseconds(500);
  static constexpr unsigned aliases_max = 8;  // that answers left for us to follow

  struct Options {
    std::vector<io::SocketAddress> servers;
    DnssecTrust trust = DnssecTrust::loopback;
    io::Duration timeout{};        // of a question in the first round; twice that in the next
    io::Duration timeout_total{};  // of a look-up since it was first sent
    unsigned rounds = 3;
    uint32_t cache_entries_max = 0;
  };

  class Waiter {
   public:
    virtual void resolved(size_t tag, const RecordSet& set) = 0;

   protected:
    ~Waiter() = default;
  };

  Resolver(io::EventLoop& loop, Options options);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  /// Waits for the sockets to close.
  ~Resolver();

  /// From the cache.
  std::optional<RecordSet> known(std::string_view name, RecordType type);
  /// Calls waiter.resolved(tag, ...) once, never from within; there must be servers. `name` in
  /// lower case, no final dot.
  void resolve(const std::string& name, RecordType type, Waiter& waiter, size_t tag);

  size_t look_ups_open() const { return open_.size(); }

  struct Counts {
    uint64_t cache_hits = 0, look_ups = 0, questions = 0, timeouts = 0;
  };
  const Counts& counts() const { return counts_; }
  const RecordCache& cache() const { return cache_; }

 private:
  class LookUp;
  struct Server {
    io::SocketAddress address;
    SendWindow window{channels_max * ServerChannel::under_way_max};
    std::vector<std::unique_ptr<ServerChannel>> channels;
    uint32_t fresh = 0;  // questions under way that were sent a moment ago
  };

  ServerChannel* channel_to(Server& server);
  void stalled();
  void pump();
  void finished(LookUp& look_up, RecordSet&& set);

  io::EventLoop& loop_;
  const Options options_;
  RecordCache cache_;
  Counts counts_;
  std::vector<Server> servers_;
  size_t preferred_ = 0;  // the server that a look-up asks first: the last one did not answer
  std::unordered_map<std::string, std::unique_ptr<LookUp>> open_;  // by name and type
  std::deque<LookUp*> waiting_;                                    // for their turn
  io::Timer stall_timer_;                                          // runs while look-ups wait
  io::Instant last_answer_at_{};                                   // of any server
  bool is_pumping_ = false;
};

}  // namespace sluice::engine::dns
