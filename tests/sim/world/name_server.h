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

/// A name server somewhere in the world, over UDP and TCP, with the records a test gives it. It
/// follows aliases, says NXDOMAIN to names that it has nothing of, sends an SOA with each negative
/// answer, and truncates what is over the asker's size. Shares no code with engine/.
class NameServer {
 public:
  enum class Action : uint8_t {
    answer,
    silent,
    fail,      // with `code`
    truncate,  // over UDP, however short
    garbage,   // over UDP, the question with its answers cut in the middle
    other,     // an answer to another question, then nothing
  };
  struct Conduct {
    Action action = Action::answer;
    uint8_t code = 2;  // SERVFAIL
    io::Duration delay{};
    bool is_authentic = false;  // it says that DNSSEC vouches for the answer (AD), if asked
  };
  /// `type` as in the zone: "MX".
  using Script = std::function<Conduct(std::string_view name, std::string_view type)>;

  NameServer(World& world, const io::SocketAddress& address);
  ~NameServer();

  Script script;  // none: answers at once
  uint32_t negative_ttl_s = 60;
  bool speaks_tcp = true;
  bool follows_aliases = true;
  bool has_soa = true;

  /// `data` as in a zone file: "10 mx.example.test.", "192.0.2.1", "2001:db8::1", "target.test.",
  /// "3 1 1 00ff"; of TXT one string, without quotes.
  void add(std::string_view name, std::string_view type, std::string_view data,
           uint32_t ttl_s = 300);
  void remove(std::string_view name) { zone_.erase(std::string(name)); }

  /// Questions that came, in all or for a name and type.
  uint64_t questions() const { return questions_; }
  uint64_t questions(const std::string& name, const std::string& type) const;
  uint64_t tcp_questions() const { return tcp_questions_; }

 private:
  struct Record {
    uint16_t type;
    uint32_t ttl_s;
    std::string data;  // on the wire
  };
  struct Question {
    std::string octets;  // the message
    std::string name;    // lower case
    uint16_t type = 0;
    size_t end = 0;  // of the question section
    size_t size_max = 512;
  };
  class Session;

  static bool parse(std::string octets, Question& question);
  /// Calls `send` with what there is to say, after its delay.
  void handle(Question question, bool is_tcp, std::function<void(std::string)> send);
  std::string answer(const Question& question, size_t& answers) const;
  void listened(io::Listen& op, const io::Completion& completion);
  void accepted(io::Accept& op, const io::Completion& completion);

  World& world_;
  const io::SocketAddress address_;
  SimulatedProactor& proactor_;
  io::Listen listen_;
  io::Accept accept_;
  std::map<std::string, std::vector<Record>, std::less<>> zone_;
  std::map<std::pair<std::string, std::string>, uint64_t> asked_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint64_t questions_ = 0, tcp_questions_ = 0, sessions_made_ = 0;
};

}  // namespace sluice::sim
