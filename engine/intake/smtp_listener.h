#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "engine/config.h"
#include "engine/intake/networks.h"
#include "engine/smtp/server.h"
#include "spool/mail_record.h"

namespace sluice::engine::intake {

/// A [[listen]] of the configuration, as sessions go by it. Immutable; kept as long as one does.
struct SmtpListener {
  /// Of a segment's messages (spool::mail_bytes_max); the rest is for envelope and stuffed dots.
  static constexpr uint64_t content_bytes_max = spool::mail_bytes_max / 4 * 3;

  SmtpListener(const ListenPolicy& p, const std::string& hostname)
      : policy(p),
        allow(p.allow),
        server{.hostname = hostname,
               .message_bytes_max = std::min(p.message_bytes_max, content_bytes_max),
               .recipients_max = p.recipients_max,
               .transactions_max = p.messages_per_session_max} {}

  const ListenPolicy policy;
  const Networks allow;
  const smtp::ServerOptions server;
};

}  // namespace sluice::engine::intake
