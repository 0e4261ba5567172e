#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::engine::smtp {

/// The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: messages as
/// they are before base64. User and password are taken as they are, in UTF-8: SASLprep is the
/// operator's.
class Scram {
 public:
  static constexpr unsigned iterations_min = 4096;  // RFC 7677 section 4
  /// The server says how many, and each costs a shard some 0.4 us: 40 ms at most.
  static constexpr unsigned iterations_max = 100'000;
  static constexpr size_t nonce_bytes_max = 256;  // ours and the server's together

  /// `nonce`: printable, without a comma, another for each exchange.
  Scram(std::string_view user, std::string_view nonce);

  std::string client_first() const { return "n,," + first_bare_; }
  /// The proof that answers the server's challenge; or why it is none that can be answered.
  std::expected<std::string, std::string_view> client_final(std::string_view server_first,
                                                            std::string_view password);
  /// Does the server know the password? (RFC 5802 section 3: only then are we logged in.)
  bool is_proved_by(std::string_view server_final) const;

 private:
  using Digest = std::array<uint8_t, 32>;

  std::string nonce_;
  std::string first_bare_;  // "n=user,r=nonce"
  Digest server_signature_{};
};

}  // namespace sluice::engine::smtp
