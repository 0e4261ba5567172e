#include "engine/smtp/auth_exchange.h"

#include <string.h>

#include "engine/mail/base64.h"
#include "engine/report/utf8.h"
#include "engine/smtp/command.h"

namespace sluice::engine::smtp {
namespace {

/// RFC 4648 section 4, whole groups, padding at the end only: what is no such code is refused, not
/// guessed at (RFC 4954 section 4).
bool is_base64(std::string_view code) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (code.size() % 4 != 0) return false;
  for (unsigned i = 0; i < 2 && code.ends_with('='); ++i) code.remove_suffix(1);
  return code.find_first_not_of(alphabet) == code.npos;
}

bool is_user(std::string_view text) {
  if (text.empty() || text.size() > AuthExchange::user_bytes_max) return false;
  while (!text.empty()) {
    const report::Utf8Character character = report::read_utf8(text);
    if (!character.is_valid || report::is_control(character.code)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

bool is_password(std::string_view text) {
  return !text.empty() && text.size() <= AuthExchange::password_bytes_max &&
         text.find('\0') == text.npos;
}

constexpr std::string_view syntax_refusal = "501 5.5.2 That is no such response";
constexpr std::string_view credentials_refusal = "535 5.7.8 Authentication credentials invalid";

}  // namespace

AuthExchange::Step AuthExchange::ask(Await next, std::string_view challenge) {
  await_ = next;
  reply_ = challenge;
  return Step::challenge;
}

AuthExchange::Step AuthExchange::refuse(std::string_view reply) {
  forget();
  reply_ = reply;
  return Step::refused;
}

AuthExchange::Step AuthExchange::begin(std::string_view argument) {
  forget();
  const std::string_view mechanism = take_word(argument);
  if (mechanism.empty()) return refuse("501 5.5.4 AUTH needs a mechanism");
  const bool is_login = is_word(mechanism, "LOGIN");
  if (!is_login && !is_word(mechanism, "PLAIN"))
    return refuse("504 5.5.4 No such mechanism; PLAIN and LOGIN are offered");
  if (is_login)
    ask(Await::login_user, "334 VXNlcm5hbWU6");
  else
    ask(Await::plain, "334 ");
  return argument.empty() ? Step::challenge : take(argument == "=" ? "" : argument);
}

AuthExchange::Step AuthExchange::take(std::string_view line) {
  if (line == "*") return refuse("501 5.7.0 Authentication cancelled");
  if (!is_base64(line)) return refuse(syntax_refusal);
  std::string decoded = mail::decode_base64(line);
  Step step;
  if (await_ == Await::plain) {
    step = take_plain(decoded);
  } else if (await_ == Await::login_user) {
    credentials_.user = decoded;
    step = is_user(decoded) ? ask(Await::login_password, "334 UGFzc3dvcmQ6")
                            : refuse(credentials_refusal);
  } else {
    credentials_.password = decoded;
    step = is_password(decoded) ? Step::credentials : refuse(credentials_refusal);
  }
  explicit_bzero(decoded.data(), decoded.size());
  return step;
}

/// RFC 4616 section 2: authorization identity (may be empty), NUL, user, NUL, password.
AuthExchange::Step AuthExchange::take_plain(std::string_view decoded) {
  const size_t first = decoded.find('\0');
  const size_t second = first == decoded.npos ? first : decoded.find('\0', first + 1);
  if (second == decoded.npos) return refuse(syntax_refusal);
  const std::string_view identity = decoded.substr(0, first);
  credentials_.user = decoded.substr(first + 1, second - first - 1);
  credentials_.password = decoded.substr(second + 1);
  // Nobody acts for somebody else here.
  const bool is_own = identity.empty() || identity == credentials_.user;
  if (!is_own || !is_user(credentials_.user) || !is_password(credentials_.password))
    return refuse(credentials_refusal);
  return Step::credentials;
}

void AuthExchange::forget() {
  explicit_bzero(credentials_.password.data(), credentials_.password.size());
  credentials_.password.clear();
  credentials_.user.clear();
  await_ = Await::nothing;
}

}  // namespace sluice::engine::smtp
