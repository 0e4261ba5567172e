#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/check.h"
#include "io/mailbox.h"
#include "io/proactor.h"
#include "io/uring.h"

namespace sluice::engine {

/// A thread with a ring of its own that does for the shards what they must not wait for. Questions
/// and replies are values in bounded mailboxes, two for each shard, and both sides wake each other
/// as shards do. Each question gets one reply; those of a shard may come in another order.
template <class Question, class Reply, uint32_t questions_max>
class Office {
 public:
  Office(unsigned shards, const io::UringOptions& ring) : ring_(ring) {
    for (unsigned i = 0; i < shards; ++i) desks_.push_back(std::make_unique<Desk>());
  }
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;
  /// After stop(), or without start().
  virtual ~Office() = default;

  /// Starts the thread. The error is one line for the operator.
  std::expected<void, std::string> start() {
    thread_ = std::jthread([this] { work(); });
    opened_.wait();
    if (!failure_.empty()) return std::unexpected(failure_);
    return {};
  }
  /// Ends it, after what it is at. The shards' loops have ended, but their rings are there; by the
  /// thread of `from`.
  void stop(io::Proactor& from) {
    stopping_.store(true, std::memory_order_release);
    if (!proactor_) return;
    proactor_->wake(from);
    from.wait(io::Instant{}, 1);  // sends it
    stopped_.count_down();
    thread_.join();
  }

  // --- For a shard, by its thread.

  /// Before any other use.
  void attach(unsigned shard, io::Proactor& proactor) { desks_[shard]->proactor = &proactor; }
  /// False: not now, for questions_max of the shard wait. Else reply() gives the reply, and the
  /// shard is woken for it.
  bool ask(unsigned shard, Question&& question) {
    Desk& desk = *desks_[shard];
    if (desk.waiting == questions_max || !desk.questions.push(std::move(question))) return false;
    ++desk.waiting;
    proactor_->wake(*desk.proactor);
    return true;
  }
  std::optional<Reply> reply(unsigned shard) {
    Desk& desk = *desks_[shard];
    auto reply = desk.replies.pop();
    if (reply) --desk.waiting;
    return reply;
  }

 protected:
  struct Desk {
    io::Proactor* proactor = nullptr;  // the shard's
    uint32_t waiting = 0;              // replies that are due; the shard's
    io::Mailbox<Question, questions_max> questions;
    io::Mailbox<Reply, questions_max> replies;
  };

  // --- The thread's.

  virtual void opened() {}   // once the ring is there; start() waits for it
  virtual void turn() = 0;   // until it is to stop: waits for completions or questions
  virtual void closing() {}  // the ring is there for the last time

  io::Proactor& proactor() { return *proactor_; }
  const std::vector<std::unique_ptr<Desk>>& desks() const { return desks_; }
  void answer(Desk& desk, Reply&& reply) {
    CHECK(desk.replies.push(std::move(reply)));  // no more are due than it has room for
    desk.proactor->wake(*proactor_);
  }

 private:
  void work() {
    auto ring = io::open_uring(ring_);
    if (ring) {
      proactor_ = std::move(*ring);
      opened();
    } else {
      failure_ = ring.error().message;
    }
    opened_.count_down();
    if (!proactor_) return;
    while (!stopping_.load(std::memory_order_acquire)) turn();
    stopped_.wait();  // whoever wakes it has done so
    closing();
    proactor_.reset();
  }

  const io::UringOptions ring_;
  std::vector<std::unique_ptr<Desk>> desks_;
  std::unique_ptr<io::Proactor> proactor_;  // the thread's
  std::string failure_;                     // why there is no ring
  std::latch opened_{1}, stopped_{1};
  std::atomic<bool> stopping_ = false;
  std::jthread thread_;
};

}  // namespace sluice::engine
