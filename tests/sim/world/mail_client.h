#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world/world.h"

namespace sluice::sim {

/// A message as a client hands it over.
struct Submission {
  std::string sender;
  std::vector<std::string> recipients;  // which no other submission has
  std::string content;                  // CRLF lines, not dot-stuffed
  bool is_acknowledged = false;         // the client's application was given the 250
};

/// An SMTP client somewhere in the world, on a proactor of its own: submits one message after the
/// other, as DATA or BDAT, pipelined or not, and now and then leaves in the middle of one. Whatever
/// goes wrong it connects again a second later, with a new message. Shares no code with engine/.
class MailClient {
 public:
  /// Its messages go to recipients "`name`-NUMBER-I@dS.test", S below `servers`.
  MailClient(World& world, const io::SocketAddress& relay, std::string name, unsigned servers);
  ~MailClient();

  /// Begins no further message.
  void stop() { is_stopping_ = true; }
  const std::deque<Submission>& submissions() const { return submissions_; }
  /// What the relay said that no server should have, in words.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  class Session;

  void connect();
  void ended();
  Submission& compose();

  World& world_;
  Process& process_;
  SimulatedProactor& proactor_;
  const io::SocketAddress relay_;
  const std::string name_;
  const unsigned servers_;
  bool is_stopping_ = false;
  std::unique_ptr<Session> session_;
  std::deque<Submission> submissions_;
  std::vector<std::string> violations_;
};

}  // namespace sluice::sim
