#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/intake/login_failures.h"
#include "engine/intake/users.h"
#include "engine/smtp/auth_exchange.h"
#include "io/mailbox.h"
#include "io/proactor.h"
#include "io/socket_address.h"

namespace sluice::engine::intake {

/// What a session waits for and a shard must not: a password to be checked, which is slow on
/// purpose, or the rule of an ETRN to be handed off (FORMAT.md section 6), which blocks.
struct Errand {
  uint64_t number = 0;  // the shard's own
  // A login, where there are users.
  std::shared_ptr<const Users> users;
  smtp::Credentials credentials;
  io::SocketAddress client;
  std::vector<std::string> rules;  // to be handed off, all of them
};

struct ErrandResult {
  enum class Outcome : uint8_t {
    done,     // the password is right, the rules stand
    refused,  // the password is wrong; the disk refuses
    later,    // too many wrong passwords came from there lately: it was not looked at
  };
  uint64_t number = 0;
  Outcome outcome = Outcome::done;
  io::Duration delay{};  // the client is to wait for its refusal
};

/// The thread that does errands for all shards, one after the other, a shard's in its order. It has
/// a ring of its own: errands and results are values in bounded mailboxes, and both sides wake each
/// other as shards do.
class Errands {
 public:
  /// Of a shard, at a time: some two seconds of yescrypt. One more is "not now".
  static constexpr uint32_t errands_max = 64;

  Errands(unsigned shards, std::string spool);
  Errands(const Errands&) = delete;
  Errands& operator=(const Errands&) = delete;

  /// Starts the thread. The error is one line for the operator.
  std::expected<void, std::string> start();
  /// Ends it, after what it is at. The shards turn no more, but their rings are there; by the
  /// thread of `from`.
  void stop(io::Proactor& from);

  // --- For a shard, by its thread.

  /// Before any other use.
  void attach(unsigned shard, io::Proactor& proactor) { desks_[shard]->proactor = &proactor; }
  /// False: not now. Else result() gives its result, and the shard is woken for it.
  bool run(unsigned shard, Errand&& errand);
  std::optional<ErrandResult> result(unsigned shard);

 private:
  struct Desk {
    io::Proactor* proactor = nullptr;  // the shard's
    uint32_t waiting = 0;              // results that are due; the shard's
    io::Mailbox<Errand, errands_max> errands;
    io::Mailbox<ErrandResult, errands_max> results;
  };

  void work();
  bool serve(Desk& desk);
  ErrandResult check_password(const Errand& errand);
  ErrandResult::Outcome hand_off(const Errand& errand);

  const std::string spool_;
  std::vector<std::unique_ptr<Desk>> desks_;
  std::unique_ptr<io::Proactor> proactor_;  // the thread's
  LoginFailures failures_;                  // likewise
  std::string failure_;                     // why there is no ring
  std::latch opened_{1}, stopped_{1};
  std::atomic<bool> stopping_ = false;
  std::jthread thread_;
};

}  // namespace sluice::engine::intake
