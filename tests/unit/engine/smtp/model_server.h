#pragma once

#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// A server that obeys RFC 5321 in its state and little else in its answers: it refuses, closes and
/// talks nonsense at random, and remembers what it said. Its own notes are the truth that verdicts
/// are held against. `violation` tells what no client may do.
class ModelServer {
 public:
  struct Faults {
    unsigned refused = 8, closing = 2, nonsense = 2, dropped = 2,
             out_of_turn = 1;  // per cent of commands
    unsigned too_many = 8;     // per cent of RCPT
  };
  ModelServer(std::mt19937& random, Faults faults);

  /// Octets of the client, in any pieces.
  void hear(std::string_view octets);
  /// Some octets of what is to be said, at most `octets_max`; the client has them now.
  std::string speak(size_t octets_max);
  /// All that was to be said has been heard by the client.
  bool is_silent() const { return said_.empty(); }
  /// It will not say anything further.
  bool is_gone() const { return is_gone_; }

  /// What became of a transaction, known by its sender.
  struct Mail {
    char mail_class = 0, data_class = 0,
         dot_class = 0;                      // '2' ...; 0: never answered; '!': nonsense
    std::map<std::string, char> recipients;  // class of each RCPT's answer; '+': one too many
    std::string content;                     // with its stuffing, without the dot
    bool was_refused_early = false;          // while content came
  };
  std::map<std::string, Mail> mails;
  /// Since then its answers may be taken for those to other commands.
  bool has_spoken_out_of_turn() const { return has_spoken_out_of_turn_; }

  std::string violation;
  unsigned commands_unanswered_most = 0;

 private:
  enum class State { idle, content };
  void command(std::string_view line);
  void content_line(std::string_view line);
  /// Says something in answer to a command that is granted with `granted`; its class.
  char answer(std::string_view granted);
  void say(std::string_view text);
  bool one_in_hundred(unsigned n) { return random_() % 100 < n; }

  std::mt19937& random_;
  const Faults faults_;
  const bool has_ehlo_, has_pipelining_;
  State state_ = State::idle;
  std::string heard_, said_;
  std::string sender_;  // of the open envelope
  bool is_envelope_open_ = false, is_gone_ = false, is_data_unanswered_ = false,
       is_closing_ = false, has_spoken_out_of_turn_ = false;
  unsigned recipients_granted_ = 0;
  unsigned replies_unheard_ = 0;  // said, and not yet with the client whole
};

}  // namespace sluice::engine::smtp
