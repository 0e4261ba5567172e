#pragma once

#include <atomic>
#include <cstdint>
#include <latch>
#include <optional>
#include <string>
#include <vector>

#include "engine/tls/context.h"
#include "io/event_loop.h"
#include "io/slot_pool.h"
#include "tools/sink/fault_plan.h"
#include "tools/sink/receiver.h"
#include "tools/sink/session.h"
#include "tools/sink/tally.h"

namespace sluice::tools::sink {

struct Options {
  io::SocketAddress address;
  unsigned threads = 1;
  uint64_t messages_until_end = 0;  // 0: no end
  std::string directory;            // where messages are saved; "": nowhere
  ReceiverOptions receiver;
  FaultPlan plan;
  engine::tls::ContextPtr tls;  // null: no TLS
};

class Shard;

/// What the shards of one sink share.
struct Common {
  const Options& options;
  std::vector<Shard*> shards;  // complete before any of them runs
  std::atomic<uint64_t> messages{0}, files{0};
  std::atomic<uint64_t> connections_now{0}, connections_peak{0};
  /// Everything has arrived: sessions end as their peers please, within a second. Or at once.
  enum class Stop : uint8_t { no, gently, at_once };
  std::atomic<Stop> stopping{Stop::no};
  std::atomic<int> save_error{0};  // the first errno

  /// Makes every shard end its sessions and leave run(); called by the thread of `from`.
  void stop(Shard& from, Stop how);
};

/// One thread of a sink: a ring, a listener, sessions.
class Shard final : public io::TurnEnd {
 public:
  static constexpr uint32_t sessions_max = 60'000;

  Shard(Common& common, io::Proactor& proactor);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// 0, or a negated errno. On 0 `address` is the one in use.
  int32_t listen(io::SocketAddress& address, bool share);
  /// Serves until Common::stop(), then at most a second longer for sessions that are ending.
  void run();

  // For its sessions.
  io::EventLoop& loop() { return loop_; }
  io::Proactor& proactor() { return loop_.proactor(); }
  const Options& options() const { return common_.options; }
  Tally& tally() { return tally_; }
  FaultPlan::Decision decide(engine::smtp::Stage stage);
  void take(const Receiver& receiver);
  void touch(Session& session) { touched_.push_back(&session); }
  void end(Session& session);
  std::string next_file_name();
  void cannot_save(int32_t result);

  // When the first and the last message was taken.
  std::optional<io::Instant> first_taken;
  io::Instant last_taken;

  void turn_ended() override;

 private:
  void accepted(io::Accept&, const io::Completion& completion);
  void refused_closed(io::CloseSocket&, const io::Completion&);
  void begin_to_end(Common::Stop how);
  void time_is_up() { loop_.stop(); }

  Common& common_;
  io::EventLoop loop_;
  io::SlotPool<Session> sessions_{sessions_max};
  Tally tally_;
  std::vector<Session*> touched_;
  io::Listen listen_;
  io::Accept accept_;
  io::SlotPool<io::CloseSocket> refused_{sessions_max};
  io::Timer deadline_;
  Common::Stop ending_ = Common::Stop::no;
};

}  // namespace sluice::tools::sink
