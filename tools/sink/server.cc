#include "tools/sink/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>
#include <thread>

#include "io/uring.h"

namespace sluice::tools::sink {
namespace {

/// Reads in big pieces: content is most of what comes.
constexpr io::UringOptions ring_options{.receive_buffers = 1024, .receive_buffer_bytes = 16384};

struct Stopper {
  void signalled(io::Signals&, const io::Completion& completion) {
    if (completion.more) common.stop(shard, Common::Stop::at_once);
  }
  Common& common;
  Shard& shard;
};

/// A sink under way: what the threads of one serve() work on.
class Server {
 public:
  Server(const Options& options, void (*ready)(const io::SocketAddress&))
      : common_{.options = options},
        ready_(ready),
        address_(options.address),
        shards_ready_(options.threads),
        shards_done_(options.threads) {
    common_.shards.resize(options.threads);
  }

  /// The first shard runs in the calling thread. It listens before the others start: with port 0 it
  /// finds the port for all.
  std::expected<Result, std::string> run() {
    serve_shard(0);
    for (std::thread& thread : threads_) thread.join();
    if (!error_.empty()) return std::unexpected(error_);
    result_.connections_peak = common_.connections_peak.load();
    result_.save_error = common_.save_error.load();
    if (first_) result_.seconds = std::chrono::duration<double>(result_.last - *first_).count();
    return std::move(result_);
  }

 private:
  void serve_shard(size_t index) {
    auto uring = io::open_uring(ring_options);
    std::optional<Shard> shard;
    std::string error;
    if (!uring) {
      error = uring.error().message;
    } else {
      shard.emplace(common_, **uring);
      common_.shards[index] = &*shard;
      if (const int32_t result = shard->listen(address_, common_.options.threads > 1); result < 0)
        error = fmt::format("cannot listen on {}: {}", address_.text(), std::strerror(-result));
    }
    note(error);
    if (index == 0)
      for (size_t i = 1; i < common_.options.threads; ++i)
        threads_.emplace_back([this, i] { serve_shard(i); });
    shards_ready_.arrive_and_wait();
    if (!has_failed_) serve_until_stopped(index, *shard);
    // A ring is closed by its own thread, and not before nobody wakes it any more.
    shards_done_.arrive_and_wait();
  }

  void serve_until_stopped(size_t index, Shard& shard) {
    Stopper stopper{common_, shard};
    io::Signals signals;
    if (index == 0) {
      ready_(address_);
      signals.numbers = {SIGTERM, SIGINT};
      signals.bind<&Stopper::signalled>(&stopper);
      shard.proactor().submit(signals);
    }
    shard.run();
    if (signals.in_flight) shard.proactor().cancel(signals);
    while (signals.in_flight) shard.proactor().wait(io::never, 64);
    const std::lock_guard lock(mutex_);
    result_.tally.add(shard.tally());
    if (shard.first_taken) first_ = std::min(first_.value_or(io::never), *shard.first_taken);
    result_.last = std::max(result_.last, shard.last_taken);
  }

  void note(const std::string& error) {
    const std::lock_guard lock(mutex_);
    if (error.empty() || has_failed_) return;
    has_failed_ = true;
    error_ = error;
  }

  Common common_;
  void (*ready_)(const io::SocketAddress&);
  io::SocketAddress address_;
  std::latch shards_ready_, shards_done_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;  // of what follows, until the threads are joined; has_failed_ does not change
                      // once all are ready
  Result result_;
  std::optional<io::Instant> first_;
  std::string error_;
  bool has_failed_ = false;
};

}  // namespace

std::expected<Result, std::string> serve(const Options& options,
                                         void (*ready)(const io::SocketAddress&)) {
  // Before any thread starts: each inherits it, and the kernel then keeps the signals for the ring.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return Server(options, ready).run();
}

}  // namespace sluice::tools::sink
