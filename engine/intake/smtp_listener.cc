#include "engine/intake/smtp_listener.h"

#include <fmt/format.h>

#include <utility>

namespace sluice::engine::intake {

std::expected<SmtpListenerPtr, std::string> SmtpListener::open(const ListenPolicy& policy,
                                                               const Config& config) {
  tls::ContextPtr tls;
  if (!policy.tls_certificate.empty()) {
    const tls::ServerFiles files{policy.tls_certificate, policy.tls_key, policy.tls_client_ca_file};
    auto made = tls::Context::server(files);
    if (!made)
      return std::unexpected(
          fmt::format("{}: {}", files.of(made.error().file), made.error().message));
    tls = std::move(*made);
  }
  std::shared_ptr<const Users> users;
  if (!policy.users.empty()) {
    auto loaded = Users::load(policy.users);
    if (!loaded) {
      const UsersError& first = loaded.error().front();
      return std::unexpected(fmt::format("{}:{}: {}", policy.users, first.line, first.message));
    }
    users = std::make_shared<const Users>(std::move(*loaded));
  }
  const smtp::ServerOptions server{.hostname = config.hostname,
                                   .message_bytes_max = policy.message_bytes_max,
                                   .recipients_max = policy.recipients_max,
                                   .transactions_max = policy.messages_per_session_max,
                                   .offers_starttls = tls && policy.tls == ListenTls::starttls,
                                   .offers_auth = tls && users,
                                   .offers_etrn = policy.etrn};
  return std::make_shared<const SmtpListener>(
      SmtpListener{policy, Networks(policy.allow), std::move(tls), std::move(users),
                   std::make_shared<ClientRates>(policy.messages_per_client_rate), server});
}

}  // namespace sluice::engine::intake
