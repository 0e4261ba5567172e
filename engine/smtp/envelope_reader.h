#pragma once

#include <cstdint>
#include <string_view>

#include "engine/smtp/incoming.h"

namespace sluice::engine::smtp {

struct EnvelopeRules {
  uint64_t message_bytes_max = 0;
  bool knows_auth = false;  // AUTH= of MAIL (RFC 4954 section 5); not believed, only let pass
  bool is_tls = false;      // REQUIRETLS (RFC 8689 section 2) is known then
};

/// Reads the argument of MAIL, `FROM:<path>` and parameters of SIZE (RFC 1870), 8BITMIME (6152),
/// SMTPUTF8 (6531), DSN (3461) and REQUIRETLS (8689), into `envelope`, which is empty. "" or the
/// reply that refuses it, and then the envelope is to be cleared.
std::string_view read_mail(std::string_view argument, const EnvelopeRules& rules,
                           Incoming& envelope);

/// Reads the argument of RCPT, `TO:<path>` with NOTIFY and ORCPT (RFC 3461), into `recipient`,
/// which is new. "" or the reply that refuses it.
std::string_view read_rcpt(std::string_view argument, bool is_smtputf8,
                           IncomingRecipient& recipient);

}  // namespace sluice::engine::smtp
