#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/smtp/credentials.h"

namespace sluice::engine::smtp {

/// The server's side of AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN
/// (draft-murchison-sasl-login), up to the credentials; whether they are right is for others to
/// say. Both send the password itself: only under TLS.
class AuthExchange {
 public:
  /// Of a response with its CRLF (RFC 4954 section 4).
  static constexpr size_t line_bytes_max = 12288;
  static constexpr size_t user_bytes_max = 255, password_bytes_max = 1024;

  enum class Step : uint8_t {
    challenge,    // say reply(), the next line is the response
    credentials,  // they are there
    refused,      // say reply(): the exchange is over
  };

  /// `argument` of AUTH: the mechanism, and maybe an initial response.
  Step begin(std::string_view argument);
  /// A response line, without its CRLF.
  Step take(std::string_view line);

  std::string_view reply() const { return reply_; }  // "334 ..." or "501 5.5.2 ..."
  const Credentials& credentials() const { return credentials_; }
  /// Overwrites the credentials with zeros.
  void forget();

 private:
  enum class Await : uint8_t { nothing, plain, login_user, login_password };

  Step ask(Await next, std::string_view challenge);
  Step refuse(std::string_view reply);
  Step take_plain(std::string_view decoded);

  Await await_ = Await::nothing;
  std::string_view reply_;
  Credentials credentials_;
};

}  // namespace sluice::engine::smtp
