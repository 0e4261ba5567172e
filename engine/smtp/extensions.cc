#include "engine/smtp/extensions.h"

#include <algorithm>
#include <charconv>

#include "engine/smtp/reply_parser.h"

namespace sluice::engine::smtp {
namespace {

bool is_keyword(std::string_view word, std::string_view upper) {
  return std::ranges::equal(word, upper, [](char a, char b) {
    return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
  });
}

// RFC 1870 section 4: no parameter and 0 both mean that no limit is told. So does what is no
// number. RFC 9422 knows no limit of 0.
template <class Number>
Number limit_of(std::string_view parameter) {
  Number limit = 0;
  const char* end = parameter.data() + parameter.size();
  const auto [stop, error] = std::from_chars(parameter.data(), end, limit);
  return error == std::errc() && (stop == end || *stop == ' ') ? limit : 0;
}

// `RCPTMAX=100 MAILMAX=20`: those that are unknown are passed over (RFC 9422 section 3).
void read_limits(std::string_view parameters, Extensions& extensions) {
  while (!parameters.empty()) {
    const std::string_view limit = parameters.substr(0, parameters.find(' '));
    parameters.remove_prefix(std::min(limit.size() + 1, parameters.size()));
    const size_t equals = std::min(limit.find('='), limit.size());
    const std::string_view name = limit.substr(0, equals);
    const auto value = limit_of<uint32_t>(limit.substr(std::min(equals + 1, limit.size())));
    if (is_keyword(name, "RCPTMAX")) extensions.recipients_max = value;
    if (is_keyword(name, "MAILMAX")) extensions.transactions_max = value;
  }
}

// `PLAIN LOGIN`: mechanisms of ours.
void read_mechanisms(std::string_view mechanisms, Extensions& extensions) {
  while (!mechanisms.empty()) {
    const std::string_view name = mechanisms.substr(0, mechanisms.find(' '));
    mechanisms.remove_prefix(std::min(name.size() + 1, mechanisms.size()));
    if (is_keyword(name, "PLAIN")) extensions.auth_plain = true;
    if (is_keyword(name, "LOGIN")) extensions.auth_login = true;
    if (is_keyword(name, "SCRAM-SHA-256")) extensions.auth_scram_sha_256 = true;
  }
}

}  // namespace

Extensions parse_extensions(std::string_view reply) {
  Extensions extensions{.esmtp = true};
  // The first line is the peer's name and greeting, not a keyword.
  for (size_t at = reply.find('\n'); at != std::string_view::npos; at = reply.find('\n', at + 1)) {
    const std::string_view line = reply.substr(at + 1, reply.find('\n', at + 1) - at - 1);
    if (line.size() <= Reply::code_bytes) continue;
    const std::string_view text = line.substr(Reply::code_bytes);
    const std::string_view word = text.substr(0, text.find(' '));
    const std::string_view parameters = text.substr(std::min(word.size() + 1, text.size()));
    if (is_keyword(word, "PIPELINING")) extensions.pipelining = true;
    if (is_keyword(word, "8BITMIME")) extensions.eight_bit_mime = true;
    if (is_keyword(word, "SMTPUTF8")) extensions.smtp_utf8 = true;
    if (is_keyword(word, "STARTTLS")) extensions.starttls = true;
    if (is_keyword(word, "ENHANCEDSTATUSCODES")) extensions.enhanced = true;
    if (is_keyword(word, "DSN")) extensions.dsn = true;
    if (is_keyword(word, "REQUIRETLS")) extensions.require_tls = true;
    if (is_keyword(word, "SIZE")) {
      extensions.size = true;
      extensions.size_max = limit_of<uint64_t>(parameters);
    }
    if (is_keyword(word, "AUTH")) read_mechanisms(parameters, extensions);
    if (is_keyword(word, "LIMITS")) read_limits(parameters, extensions);
  }
  return extensions;
}

}  // namespace sluice::engine::smtp
