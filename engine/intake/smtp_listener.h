#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "engine/config.h"
#include "engine/intake/client_rates.h"
#include "engine/intake/networks.h"
#include "engine/intake/users.h"
#include "engine/smtp/server.h"
#include "engine/tls/context.h"

namespace sluice::engine::intake {

struct SmtpListener;
using SmtpListenerPtr = std::shared_ptr<const SmtpListener>;
using SmtpListeners = std::vector<SmtpListenerPtr>;

/// A [[listen]] of the configuration, as sessions go by it, with what its files hold. Immutable but
/// for what `rates` count; shared by all shards, and kept as long as a session that began under it.
struct SmtpListener {
  /// Reads certificate, key and users. Blocking. The error is one line for the operator. To read
  /// them anew is to open another, and to give it to SmtpIntake::reload().
  static std::expected<SmtpListenerPtr, std::string> open(const ListenPolicy& policy,
                                                          const Config& config);

  const ListenPolicy policy;
  const Networks allow;
  const tls::ContextPtr tls;                 // null: none
  const std::shared_ptr<const Users> users;  // null: nobody can authenticate
  const std::shared_ptr<ClientRates> rates;
  const smtp::ServerOptions server;

  bool is_implicit_tls() const { return tls && policy.tls == ListenTls::implicit; }
};

}  // namespace sluice::engine::intake
