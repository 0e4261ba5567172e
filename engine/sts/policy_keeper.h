#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/office.h"
#include "engine/sts/download.h"
#include "engine/sts/policy_book.h"
#include "engine/sts/policy_folder.h"
#include "io/event_loop.h"

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
class PolicyKeeper final : public Office<Question, Reply, 256> {
 public:
  static constexpr io::Duration answer_within = std::chrono::seconds(10);
  static constexpr size_t downloads_max = 32;  // at a time

  /// Its thread owns SPOOL/sts/.
  PolicyKeeper(unsigned shards, const std::string& spool);

 private:
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

  void opened() override;
  void turn() override;
  void closing() override;
  void take(Desk& desk, Question&& question);
  void start_fetches();
  void take_fetches();
  void ended(const std::string& domain, const std::string& id, Fetched&& fetched);
  void answer_overdue();
  void advise(Desk& desk, const Question& question);

  const PolicyFolder folder_;
  // The thread's:
  std::unique_ptr<io::EventLoop> loop_;
  PolicyBook book_;
  std::map<std::string, Fetch> fetches_;  // by domain
  size_t downloads_ = 0;                  // of these
  std::vector<Waiter> waiters_;           // in the order of their times
};

}  // namespace sluice::engine::sts
