#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::engine::smtp {

/// Commands of RFC 5321 section 4.1.1 and of the extensions that the server speaks.
enum class Verb : uint8_t {
  unknown,
  auth,
  bdat,
  data,
  ehlo,
  etrn,
  expn,
  helo,
  help,
  http,  // GET, POST ...: a browser was led here; what follows may be the attacker's commands
  mail,
  noop,
  quit,
  rcpt,
  rset,
  starttls,
  vrfy,
};

struct Command {
  Verb verb = Verb::unknown;
  std::string_view argument;  // without blanks at either end
};

/// `line` comes without its CRLF. Verbs are known in either case (RFC 5321 section 2.4).
Command parse_command(std::string_view line);

/// Takes one word, up to a blank, and the blanks behind it off the front of `text`.
std::string_view take_word(std::string_view& text);

/// `upper` is in upper case; `word` in either.
bool is_word(std::string_view word, std::string_view upper);

}  // namespace sluice::engine::smtp
