#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::engine::smtp {

/// Service extensions as EHLO offered them (RFC 5321 section 2.2).
struct Extensions {
  bool esmtp = false, pipelining = false, size = false, eight_bit_mime = false, smtp_utf8 = false,
       starttls = false, enhanced = false, dsn = false, require_tls = false;
  bool auth_plain = false, auth_login = false, auth_scram_sha_256 = false;  // RFC 4954
  uint64_t size_max = 0;  // RFC 1870; 0: no limit told
  // LIMITS (RFC 9422); 0: not told.
  uint32_t recipients_max = 0;    // RCPTMAX: RCPT commands in a transaction
  uint32_t transactions_max = 0;  // MAILMAX: in the session

  friend bool operator==(const Extensions&, const Extensions&) = default;
};

/// Reads the reply to EHLO, lines joined by '\n', codes included. Keywords are taken whatever their
/// case (RFC 5321 section 2.4), unknown ones and odd parameters are passed over.
Extensions parse_extensions(std::string_view reply);

}  // namespace sluice::engine::smtp
