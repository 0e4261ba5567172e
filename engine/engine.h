#pragma once

#include <sysexits.h>

#include <expected>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/config.h"
#include "engine/coordinator.h"
#include "engine/current_config.h"
#include "engine/intake/errands.h"
#include "engine/intake/smtp_listener.h"
#include "engine/report/counters.h"
#include "engine/shard.h"
#include "engine/sts/policy_keeper.h"
#include "engine/tlsrpt/reporter.h"
#include "io/uring.h"
#include "spool/spool.h"

namespace sluice::engine {

/// Why the engine cannot run: one line for the operator, and the exit code that says the same
/// (sysexits.h).
struct EngineError {
  int exit_code = EX_SOFTWARE;
  std::string message;
};

int exit_code(spool::ErrorCode code);

/// The engine of a process: shards on threads of their own, each with a ring; shard 0 on the
/// caller's. SIGINT and SIGTERM stop it, a second one at once; SIGUSR1 opens the transaction log
/// anew; SIGHUP reads the configuration anew, all or nothing.
class Engine {
 public:
  struct Options {
    bool until_empty = false;
    bool listens = false;  // takes mail in where the configuration says
    /// The configuration as it is to be after SIGHUP, or its mistakes, a line each. None: SIGHUP
    /// is not listened to. Called on the thread of run(), and blocks it.
    std::function<std::expected<Config, std::vector<std::string>>()> reread;
    io::UringOptions uring;
  };

  /// Opens spool, log and rings; nothing is delivered before run(). `config` and `observer` outlive
  /// the engine.
  static std::expected<std::unique_ptr<Engine>, EngineError> create(
      const Config& config, const Options& options, Coordinator::Observer& observer);
  ~Engine();

  /// Until the spool is empty (if so asked) or a signal came, and what was under way is done.
  void run();

  io::EventLoop& loop() { return *loop_; }
  Coordinator& coordinator() { return *coordinator_; }
  unsigned shards() const { return static_cast<unsigned>(threads_.size()) + 1; }
  bool was_interrupted() const { return interrupted_; }
  /// For any thread, as long as the engine lives.
  const CurrentConfig& config() const { return current_; }
  const report::Counters& counters() const { return counters_; }

 private:
  Engine(const Config& config, const Options& options, unsigned shards,
         Coordinator::Observer& observer);
  std::expected<void, EngineError> open();
  static std::expected<intake::SmtpListeners, std::string> read_listeners(const Config& config);
  void run_shard(unsigned index, uint64_t journal_sequence);
  dns::HostFinder::Options dns() const;
  std::expected<void, EngineError> start_reporter();
  Shard::Setup setup(unsigned index, uint64_t journal_sequence);
  void reload();
  void warn();
  void signalled(io::Signals& op, const io::Completion& completion);

  const Config& config_;  // as it was at the start
  CurrentConfig current_;
  const Options options_;
  Coordinator::Observer& observer_;
  const std::vector<io::SocketAddress> dns_servers_;
  Mesh mesh_;
  report::Counters counters_;
  std::vector<intake::SmtpListenerPtr> listeners_;
  dkim::KeyringPtr keys_;                     // at the start
  std::unique_ptr<intake::Errands> errands_;  // where it listens
  std::unique_ptr<sts::PolicyKeeper> policies_;
  std::unique_ptr<tlsrpt::Reporter> reporter_;  // where reports are made
  std::unique_ptr<io::Proactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<Coordinator> coordinator_;
  io::Signals signals_;
  std::vector<std::string> failures_;  // by shard: why it cannot start
  std::latch opened_, begin_, end_;
  bool begun_ = false, interrupted_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace sluice::engine
