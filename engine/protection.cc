#include "engine/protection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace sluice::engine {
namespace {

constexpr size_t user_bytes_max = 255;

/// The first line of a file that nobody else may look into.
std::expected<std::string, std::string> read_password(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return std::unexpected(fmt::format("cannot be read: {}", std::strerror(errno)));
  struct stat status{};
  std::array<char, Protection::password_bytes_max + 2> octets;
  const bool is_known = fstat(descriptor, &status) == 0;
  const ssize_t size = read(descriptor, octets.data(), octets.size());
  const int error = errno;
  close(descriptor);
  if (!is_known || size < 0)
    return std::unexpected(fmt::format("cannot be read: {}", std::strerror(error)));
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return std::unexpected(fmt::format("is open to others (mode {:o}); chmod go= makes it private",
                                       status.st_mode & 07777));
  const std::string_view text(octets.data(), static_cast<size_t>(size));
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  if (line.empty() || line.size() > Protection::password_bytes_max)
    return std::unexpected(fmt::format("needs the password as its first line, of 1 to {} octets",
                                       Protection::password_bytes_max));
  if (line.find('\0') != line.npos) return std::unexpected("has a NUL in its first line");
  return std::string(line);
}

/// Nothing, of a file that cannot be read: whoever loads it says so.
void digest_file(SHA256_CTX& digest, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), {});
  SHA256_Update(&digest, content.data(), content.size());
}

std::string authorities_of(const SecurityPolicy& policy) {
  if (!policy.tls_ca_file.empty()) return policy.tls_ca_file;
  // Who does not verify can do without them.
  const bool has_them = access(Protection::system_authorities, R_OK) == 0;
  return has_them || policy.tls == TlsPolicy::verified ? Protection::system_authorities : "";
}

ProtectionError error_of(const tls::ClientRules& rules, const tls::ContextError& error) {
  switch (error.file) {
    case tls::ContextError::File::certificate:
      return {"tls_client_certificate", rules.certificate, error.message};
    case tls::ContextError::File::key:         return {"tls_client_key", rules.key, error.message};
    case tls::ContextError::File::authorities: break;
  }
  return {"tls_ca_file", rules.authorities, error.message};
}

/// A name for each set of patterns that some domain matches: where a pattern matches, all that are
/// above it do.
std::vector<std::string> names_of(const Config& config) {
  std::vector<std::string> names{""};
  for (const std::string& pattern : config.patterns())
    if (pattern != "*") names.push_back(pattern.starts_with("*.") ? pattern.substr(1) : pattern);
  return names;
}

}  // namespace

std::string SecurityPolicy::authorities() const {
  return tls_ca_file.empty() ? Protection::system_authorities : tls_ca_file;
}

std::string ProtectionError::text() const {
  return fmt::format("destination.{}: \"{}\" {}", key, file, message);
}

std::expected<ProtectionPtr, ProtectionError> Protection::load(const SecurityPolicy& policy) {
  auto made = std::make_shared<Protection>();
  SHA256_CTX digest;
  SHA256_Init(&digest);
  if (policy.tls != TlsPolicy::none) {
    const tls::ClientRules rules{.must_verify = policy.tls == TlsPolicy::verified,
                                 .needs_tls_1_3 = policy.tls_min == TlsVersion::v1_3,
                                 .authorities = authorities_of(policy),
                                 .certificate = policy.tls_client_certificate,
                                 .key = policy.tls_client_key};
    auto context = tls::Context::client(rules);
    if (!context) return std::unexpected(error_of(rules, context.error()));
    made->tls = *std::move(context);
    for (const std::string& file : {rules.authorities, rules.certificate, rules.key})
      if (!file.empty()) digest_file(digest, file);
  }
  if (!policy.auth_user.empty()) {
    auto password = read_password(policy.auth_password_file);
    if (!password)
      return std::unexpected(
          ProtectionError{"auth_password_file", policy.auth_password_file, password.error()});
    SHA256_Update(&digest, password->data(), password->size());
    made->login = {.user = policy.auth_user, .password = *std::move(password)};
  }
  SHA256_Final(made->digest.data(), &digest);
  return made;
}

std::vector<SecurityMistake> find_mistakes(const SecurityPolicy& policy, bool look_at_files) {
  std::vector<SecurityMistake> found;
  const bool has_half_a_pair =
      policy.tls_client_certificate.empty() != policy.tls_client_key.empty();
  const bool has_half_a_login = policy.auth_user.empty() != policy.auth_password_file.empty();
  if (has_half_a_pair)
    found.push_back({{"tls_client_certificate", "tls_client_key"},
                     "needs tls_client_certificate and tls_client_key, both of them"});
  if (has_half_a_login)
    found.push_back({{"auth_user", "auth_password_file"},
                     "needs auth_user and auth_password_file, both of them"});
  if (policy.auth_user.size() > user_bytes_max || policy.auth_user.find('\0') != std::string::npos)
    found.push_back({{"auth_user"}, "is over 255 octets, or has a NUL"});
  if (!policy.auth_user.empty() && policy.tls < TlsPolicy::required)
    found.push_back({{"auth_user", "tls"},
                     "needs tls = \"required\" or \"verified\": no password goes in the clear"});
  if (!look_at_files || has_half_a_pair || has_half_a_login) return found;

  std::vector<SecurityPolicy> parts;
  const bool names_files = policy.tls == TlsPolicy::verified || !policy.tls_ca_file.empty() ||
                           !policy.tls_client_certificate.empty();
  if (names_files) {
    parts.push_back(policy);
    parts.back().auth_user.clear();
  }
  if (!policy.auth_user.empty()) {
    parts.push_back(policy);
    parts.back().tls = TlsPolicy::none;
  }
  for (const SecurityPolicy& part : parts) {
    const auto protection = Protection::load(part);
    if (protection) continue;
    const auto& [key, file, message] = protection.error();
    found.push_back({{key, "tls"}, fmt::format("\"{}\" {}", file, message)});
  }
  return found;
}

std::expected<Protections, ProtectionError> Protections::load(const Config& config,
                                                              const Protections& before) {
  Protections loaded;
  for (const std::string& name : names_of(config)) {
    const SecurityPolicy policy = config.destination(name).security;
    if (loaded.of(policy)) continue;
    auto made = Protection::load(policy);
    if (!made) return std::unexpected(std::move(made.error()));
    const ProtectionPtr known = before.of(policy);
    const bool is_same = known && known->digest == (*made)->digest;
    loaded.known_.emplace_back(policy, is_same ? known : *std::move(made));
  }
  return loaded;
}

ProtectionPtr Protections::of(const SecurityPolicy& policy) const {
  const auto found = std::ranges::find(known_, policy, [](const auto& k) { return k.first; });
  return found == known_.end() ? nullptr : found->second;
}

}  // namespace sluice::engine
