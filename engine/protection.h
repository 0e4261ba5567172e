#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/config.h"
#include "engine/smtp/credentials.h"
#include "engine/tls/context.h"

namespace sluice::engine {

/// A file that a policy names and that cannot be used.
struct ProtectionError {
  std::string_view key;  // of [destination]: "tls_ca_file"
  std::string file;
  std::string message;  // the end of a sentence that begins with the file

  /// One line for the operator.
  std::string text() const;
};

/// What protects sessions with the destinations of a policy: what the files that it names hold.
/// Immutable, for all shards.
struct Protection {
  tls::ContextPtr tls;  // null: no TLS
  std::optional<smtp::Credentials> login;
  std::array<uint8_t, 32> digest{};  // of the files' content

  /// Blocking: some 10 ms for the system's certificate authorities.
  static std::expected<ProtectionPtr, ProtectionError> load(const SecurityPolicy& policy);
  /// Where Debian's ca-certificates keeps them.
  static constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";
  static constexpr size_t password_bytes_max = 1024;
};

/// What is wrong with how destinations are to be protected.
struct SecurityMistake {
  std::array<std::string_view, 2> keys;  // that do not fit each other, or one and ""
  std::string message;                   // the end of a sentence that begins with the first
};
/// With `look_at_files` also what they hold; then blocking.
std::vector<SecurityMistake> find_mistakes(const SecurityPolicy& policy, bool look_at_files);

/// Those of a configuration: one for each combination of its keys.
class Protections {
 public:
  /// None: TLS is spoken with nobody, and policies must not demand it.
  Protections() = default;
  /// Blocking. Where neither keys nor files differ from `before` it is the same Protection. The
  /// error is of the first file that cannot be used.
  static std::expected<Protections, ProtectionError> load(const Config& config,
                                                          const Protections& before);

  /// For a policy of the configuration. Null: none were loaded.
  ProtectionPtr of(const SecurityPolicy& policy) const;

 private:
  std::vector<std::pair<SecurityPolicy, ProtectionPtr>> known_;
};

}  // namespace sluice::engine
