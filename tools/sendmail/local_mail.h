#pragma once

#include <expected>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/mail/local_message.h"
#include "engine/smtp/dsn.h"
#include "io/proactor.h"

namespace sluice::tools {

/// Who calls us.
struct LocalUser {
  std::string login = "nobody", name;  // as the system has them

  static LocalUser current();
};

/// A message of a program on this machine, on its way to the spool.
struct LocalMail {
  std::string sender;      // in normal form; "" is the null sender
  std::string recipients;  // a list for the submission: JSON Lines
  std::string author;      // for a missing From
  engine::smtp::Notify notify = 0;
  engine::smtp::ReturnedContent returned = engine::smtp::ReturnedContent::unsaid;
  std::string envelope_id;

  void add_recipient(const std::string& address);
};

/// Why it was not taken: lines for the user, and the exit code that says the same (sysexits.h).
struct NotTaken {
  int exit_code = 0;
  std::vector<std::string> lines;
};

/// Completes `message` and hands it off: on return it is durable. Blocking.
std::expected<void, NotTaken> hand_off(io::Proactor& proactor, const engine::Config& config,
                                       const LocalUser& user, LocalMail mail,
                                       const engine::mail::LocalMessage& message);

}  // namespace sluice::tools
