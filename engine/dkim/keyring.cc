#include "engine/dkim/keyring.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/config_value.h"
#include "engine/dkim/signature.h"
#include "engine/mail/address_list.h"

namespace sluice::engine::dkim {

std::expected<KeyringPtr, std::string> Keyring::load(std::span<const DkimPolicy> policies) {
  std::vector<Signer> signers;
  for (const DkimPolicy& policy : policies) {
    auto key = Key::load(policy.key);
    if (!key)
      return std::unexpected(
          fmt::format("dkim.\"{}\".key: \"{}\" {}", policy.domain, policy.key, key.error()));
    signers.push_back({.domain = policy.domain,
                       .selector = policy.selector,
                       .key = *std::move(key),
                       .start = policy.start,
                       .end = policy.end,
                       .lifetime = policy.expire});
  }
  return std::make_shared<const Keyring>(std::move(signers));
}

Keyring::Keyring(std::vector<Signer> signers) {
  for (Signer& signer : signers) signers_[signer.domain].push_back(std::move(signer));
  for (const auto& [domain, of_domain] : signers_) {
    size_t bytes = 0;
    for (const Signer& signer : of_domain) bytes += signature_bytes_about(signer);
    bytes_max_ = std::max(bytes_max_, bytes);
  }
}

std::span<const Signer> Keyring::of(std::string_view domain) const {
  const auto* const found = for_author(signers_, domain);
  return found ? std::span<const Signer>(*found) : std::span<const Signer>();
}

std::string author_domain(std::string_view from) {
  const auto addresses = mail::parse_address_list(from);
  if (!addresses || addresses->empty()) return {};
  const std::string_view address = addresses->front();
  const size_t at = address.rfind('@');
  return at == address.npos ? "" : ascii_domain(address.substr(at + 1)).value_or("");
}

}  // namespace sluice::engine::dkim
