#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/world/world.h"

namespace sluice::sim {

enum class Phase : uint8_t { greeting, ehlo, mail, rcpt, data, block, final_dot, rset, quit };

/// What a server does at a phase. A reply of code 421 is followed by a close.
struct Answer {
  enum class Action : uint8_t {
    reply,
    drop,           // closes
    take_and_drop,  // at the final dot: keeps the message as if it had said 250, says nothing and
                    // closes
    stall,          // never says anything again
    garbage,        // a line that is no reply
    slow,           // the reply, one octet a second
    endless,        // continuation lines without end
  };
  Action action = Action::reply;
  std::string reply;  // "" for the usual one; lines joined by '\n', no CRLF
  io::Duration delay{};
};

/// A message that the server made its own.
struct Delivery {
  std::string sender;
  std::vector<std::string> recipients;
  std::string content;   // CRLF lines as they were before dot-stuffing
  io::Instant dot_sent;  // when the client handed the final dot to its kernel
  io::Instant time;      // of the decision
  uint64_t session = 0;
  io::Instant session_began;
  bool is_answered = false;  // 250 was said (or is being said)
  Network::ReadMark reply;   // read: the client's application was given the 250
};

/// A scriptable SMTP receiver on a proactor of its own, somewhere in the world: the witness of what
/// was delivered. Shares no code with engine/.
class MailServer {
 public:
  /// `argument` is the line of the command ("RCPT TO:<a@example.net>"), "" where there is none.
  using Script = std::function<Answer(Phase phase, std::string_view argument)>;

  /// Listens on `address` from the next events on.
  MailServer(World& world, const io::SocketAddress& address);
  ~MailServer();

  Script script;  // none: polite
  std::vector<std::string> extensions{"PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8",
                                      "ENHANCEDSTATUSCODES"};
  bool knows_ehlo = true;

  const std::vector<Delivery>& deliveries() const { return deliveries_; }
  uint64_t sessions() const { return sessions_made_; }
  /// Most sessions that were open at once, as far as the client's side of them was.
  unsigned sessions_most() const { return sessions_most_; }
  /// What the client did against the protocol, in words.
  const std::vector<std::string>& violations() const { return violations_; }
  Process& process() { return process_; }

 private:
  class Session;

  void listened(io::Listen& op, const io::Completion& completion);
  void accepted(io::Accept& op, const io::Completion& completion);
  Answer answer(Phase phase, std::string_view argument) {
    return script ? script(phase, argument) : Answer{};
  }

  World& world_;
  Process& process_;
  SimulatedProactor& proactor_;
  io::Listen listen_;
  io::Accept accept_;
  std::map<uint64_t, std::unique_ptr<Session>> open_;
  std::vector<Delivery> deliveries_;
  std::vector<std::string> violations_;
  uint64_t sessions_made_ = 0;
  unsigned sessions_most_ = 0;
};

}  // namespace sluice::sim
