#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/smtp/extensions.h"
#include "engine/smtp/opening.h"
#include "engine/smtp/scram.h"

namespace sluice::engine::smtp {

/// The client's side of AUTH (RFC 4954) with SCRAM-SHA-256 (RFC 7677), PLAIN (RFC 4616) or LOGIN
/// (draft-murchison-sasl-login): the best that the server offers. PLAIN and LOGIN send the password
/// itself: only under TLS.
class Login {
 public:
  enum class Mechanism : uint8_t { scram_sha_256, plain, login };

  /// Of those offered; none: the server has none of ours.
  static std::optional<Mechanism> best(const Extensions& extensions);

  /// `opening.login` is whom to log in, and outlives this.
  Login(Mechanism mechanism, const Opening& opening);
  ~Login();
  Login(const Login&) = delete;
  Login& operator=(const Login&) = delete;

  /// What is to be sent of the line under way (at first: AUTH); advance() takes off what was.
  std::string_view rest() const { return std::string_view(line_).substr(sent_); }
  void advance(size_t octets) { sent_ += octets; }

  /// Takes the text of a 334, and makes the next line of it. Our words when it is no challenge that
  /// can be answered; "" when it is.
  std::string_view challenged(std::string_view text);
  /// Are we logged in when the server says so? With SCRAM it must have proved itself.
  bool may_succeed() const { return mechanism_ != Mechanism::scram_sha_256 || is_proved_; }

 private:
  void say(std::string_view before, std::string_view response);

  const Mechanism mechanism_;
  const Credentials& credentials_;
  unsigned step_ = 0;  // challenges answered
  bool is_proved_ = false;
  Scram scram_;
  std::string line_;
  size_t sent_ = 0;
};

}  // namespace sluice::engine::smtp
