#pragma once

#include <string>

#include "engine/config.h"
#include "engine/smtp/server.h"
#include "io/proactor.h"
#include "tools/sendmail/local_mail.h"

namespace sluice::tools {

/// `sendmail -bs`: an SMTP session on standard input and output, with a program that may send
/// whatever it likes, as whoever may write to the spool may. Each message is handed off when it is
/// whole, and durable when it is answered 250.
class Dialogue {
 public:
  Dialogue(io::Proactor& proactor, const engine::Config& config);

  /// Until QUIT or the end of the input; blocking. The exit code (sysexits.h).
  int run();

 private:
  void deal_with(engine::smtp::Server::Event event);
  void take_message();
  bool say();

  io::Proactor& proactor_;
  const engine::Config& config_;
  const LocalUser user_ = LocalUser::current();
  const engine::smtp::ServerOptions options_;
  engine::smtp::Server server_;
  std::string out_;
  std::string content_;  // of the message on its way: in wire form
};

}  // namespace sluice::tools
