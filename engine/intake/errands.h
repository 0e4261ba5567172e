#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/intake/login_failures.h"
#include "engine/intake/users.h"
#include "engine/office.h"
#include "engine/smtp/auth_exchange.h"
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

/// Does errands for all shards, one after the other, a shard's in its order. At a time a shard has
/// at most 64, some two seconds of yescrypt.
class Errands final : public Office<Errand, ErrandResult, 64> {
 public:
  Errands(unsigned shards, std::string spool)
      : Office(shards, {.entries = 64, .sockets_max = 1, .receive_buffers = 1}),
        spool_(std::move(spool)) {}

 private:
  void turn() override;
  bool serve(Desk& desk);
  ErrandResult check_password(const Errand& errand);
  ErrandResult::Outcome hand_off(const Errand& errand);

  const std::string spool_;
  // The thread's:
  LoginFailures failures_;
  bool was_busy_ = true;
};

}  // namespace sluice::engine::intake
