#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::engine::http {

/// The secret that a client must know; only its SHA-256 is kept.
class Token {
 public:
  static constexpr size_t bytes_min = 16, bytes_max = 4096;

  /// The first line of a file that nobody but its owner and group may read. The error is one line
  /// for the operator.
  static std::expected<Token, std::string> load(const std::string& path);
  explicit Token(std::string_view secret);

  /// Does the value of an Authorization header (RFC 6750 section 2.1) hold it? Takes the same time
  /// for every wrong one of a length.
  bool is_in(std::string_view authorization) const;

 private:
  std::array<uint8_t, 32> digest_;
};

}  // namespace sluice::engine::http
