#pragma once

#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/smtp/dsn.h"

namespace sluice::tools {

/// The arguments of sendmail(1).
struct SendmailArguments {
  enum class Mode : uint8_t { send, dialogue, run_queue, help };
  Mode mode = Mode::send;
  bool reads_recipients = false;      // -t: of To, Cc and Bcc too
  bool ignores_dot = false;           // -i
  std::optional<std::string> sender;  // -f, -r, as written
  std::optional<std::string> name;    // -F
  engine::smtp::Notify notify = 0;
  engine::smtp::ReturnedContent returned = engine::smtp::ReturnedContent::unsaid;
  std::string envelope_id;
  std::string config, spool;            // "" for the defaults
  std::vector<std::string> recipients;  // as written: each may be a list

  /// `arguments` without the command's name. Options come first, may share a dash (`-ti`) and have
  /// their value behind them or in the next argument; those that mean nothing here are passed over,
  /// as other MTAs do. The error is one line for the user.
  static std::expected<SendmailArguments, std::string> parse(
      std::span<const char* const> arguments);
};

}  // namespace sluice::tools
