#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "engine/office.h"
#include "engine/tlsrpt/clerk.h"

namespace sluice::engine::tlsrpt {

/// What a shard saw; that it is counted is all the answer there is.
using Batch = std::vector<Outcome>;
struct Counted {};

/// The thread on which a Clerk works. Its last act, once all that was handed over is counted, is to
/// write that.
class Reporter final : public Office<Batch, Counted, 64> {
 public:
  static constexpr size_t news_max = 256;  // waiting; others are not told

  /// Its thread owns SPOOL/tlsrpt/. `options.tell` is the reporter's to set.
  Reporter(unsigned shards, Clerk::Options options);

  /// Shard 0 alone: it is woken for news.
  void listen(io::Proactor& proactor) { listener_.store(&proactor, std::memory_order_release); }
  std::optional<News> news() { return news_.pop(); }

 private:
  void opened() override;
  void turn() override;
  void closing() override;
  void count();
  void tell(News&& news);

  Clerk::Options options_;
  io::Mailbox<News, news_max> news_;
  std::atomic<io::Proactor*> listener_ = nullptr;
  // The thread's:
  std::unique_ptr<io::EventLoop> loop_;
  std::unique_ptr<Clerk> clerk_;
};

}  // namespace sluice::engine::tlsrpt
