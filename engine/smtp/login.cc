#include "engine/smtp/login.h"

#include <fmt/format.h>
#include <string.h>

#include "engine/mail/base64.h"
#include "io/check.h"

namespace sluice::engine::smtp {

std::optional<Login::Mechanism> Login::best(const Extensions& extensions) {
  if (extensions.auth_scram_sha_256) return Mechanism::scram_sha_256;
  if (extensions.auth_plain) return Mechanism::plain;
  if (extensions.auth_login) return Mechanism::login;
  return std::nullopt;
}

Login::Login(Mechanism mechanism, const Opening& opening)
    : mechanism_(mechanism),
      credentials_(*opening.login),
      scram_(credentials_.user, fmt::format("{:016x}{:016x}", opening.nonce[0], opening.nonce[1])) {
  switch (mechanism) {
    case Mechanism::scram_sha_256: say("AUTH SCRAM-SHA-256 ", scram_.client_first()); break;
    case Mechanism::login:         say("AUTH LOGIN", ""); break;
    case Mechanism::plain:         {
      std::string response =
          fmt::format("{0}{1}{0}{2}", '\0', credentials_.user, credentials_.password);
      say("AUTH PLAIN ", response);
      explicit_bzero(response.data(), response.size());
    }
  }
}

Login::~Login() { explicit_bzero(line_.data(), line_.size()); }

void Login::say(std::string_view before, std::string_view response) {
  explicit_bzero(line_.data(), line_.size());
  line_ = before;
  mail::append_base64(line_, response);
  line_ += "\r\n";
  sent_ = 0;
}

std::string_view Login::challenged(std::string_view text) {
  constexpr std::string_view too_many = "a challenge more than the mechanism has";
  const unsigned step = step_++;
  if (mechanism_ == Mechanism::plain) return too_many;
  if (mechanism_ == Mechanism::login) {
    if (step > 1) return too_many;
    say("", step == 0 ? credentials_.user : credentials_.password);
    return {};
  }
  const std::string message = mail::decode_base64(text);
  if (step == 0) {
    const auto response = scram_.client_final(message, credentials_.password);
    if (!response) return response.error();
    say("", *response);
    return {};
  }
  if (step > 1) return too_many;
  is_proved_ = scram_.is_proved_by(message);
  if (!is_proved_) return "the server did not prove that it knows the password";
  say("", "");
  return {};
}

}  // namespace sluice::engine::smtp
