#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/sts/download.h"
#include "engine/sts/policy_book.h"
#include "engine/sts/policy_folder.h"
#include "io/mailbox.h"
#include "io/proactor.h"

namespace sluice::engine::sts {

/// What a shard asks of the keeper: a domain's policy, given what DNS says of it.
struct Question {
  uint64_t number = 0;            // the shard's own
  std::optional<std::string> id;  // of the TXT record; null: there is none that can be read
  Source source;                  // without addresses nothing is fetched
};

struct Reply {
  uint64_t number = 0;
  Finding finding;
};

/// Keeps the policies of a process, on a thread of its own: in memory, on the disk, and fetched
/// when they are to be. A question is answered at once where what is kept will do, else when the
/// download has ended, or after answer_within: with the older policy, or with none, as RFC 8461
/// section 5.1 has it; what comes later counts for those who ask later.
class PolicyKeeper {
 public:
  static constexpr uint32_t questions_max = 256;  // of a shard, at a time; one more is "not now"
  static constexpr io::Duration answer_within = std::chrono::seconds(10);
  static constexpr size_t downloads_max = 32;  // at a time

  PolicyKeeper(unsigned shards, const std::string& spool);
  PolicyKeeper(const PolicyKeeper&) = delete;
  PolicyKeeper& operator=(const PolicyKeeper&) = delete;

  /// Starts the thread, which owns SPOOL/sts/. The error is one line for the operator.
  std::expected<void, std::string> start();
  /// Ends it and what it downloads. The shards turn no more, but their rings are there; by the
  /// thread of `from`.
  void stop(io::Proactor& from);

  // --- For a shard, by its thread.

  /// Before any other use.
  void attach(unsigned shard, io::Proactor& proactor) { desks_[shard]->proactor = &proactor; }
  /// False: not now. Else reply() gives the reply, and the shard is woken for it.
  bool ask(unsigned shard, Question&& question);
  std::optional<Reply> reply(unsigned shard);

 private:
  struct Desk {
    io::Proactor* proactor = nullptr;  // the shard's
    uint32_t waiting = 0;              // replies that are due; the shard's
    io::Mailbox<Question, questions_max> questions;
    io::Mailbox<Reply, questions_max> replies;
  };
  struct Waiter {
    Desk* desk;
    Question question;
    io::Instant until;
  };
  /// A policy being fetched, or about to be.
  struct Fetch {
    Source source;
    std::string id;
    std::unique_ptr<Download> download;  // null: not begun
  };

  void work();
  void turn();
  void end_downloads();
  void take(Desk& desk, Question&& question);
  void start_fetches();
  void take_fetches();
  void ended(const std::string& domain, const std::string& id, Fetched&& fetched);
  void answer_overdue();
  void answer(Desk& desk, const Question& question);

  const PolicyFolder folder_;
  std::vector<std::unique_ptr<Desk>> desks_;
  std::latch opened_{1}, stopped_{1};
  std::atomic<bool> stopping_ = false;
  std::string failure_;  // why there is no ring
  // The thread's:
  std::unique_ptr<io::Proactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
  PolicyBook book_;
  std::map<std::string, Fetch> fetches_;  // by domain
  size_t downloads_ = 0;                  // of these
  std::vector<Waiter> waiters_;           // in the order of their times
  std::jthread thread_;
};

}  // namespace sluice::engine::sts
