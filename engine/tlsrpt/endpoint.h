#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::engine::tlsrpt {

/// Where a report goes: a URI of a `rua`, read.
struct Endpoint {
  static constexpr size_t uri_octets_max = 2048;

  enum class Kind : uint8_t { mail, https };
  Kind kind = Kind::mail;
  std::string uri;      // as written
  std::string address;  // of mail, in the normal form of recipients
  std::string host;     // of https: a name in lower case, or an address without brackets
  uint16_t port = 443;  // likewise
  std::string target;   // likewise: "/path?query"
};

/// Null: of a scheme that RFC 8460 does not know, or malformed.
std::optional<Endpoint> parse_endpoint(std::string_view uri);

}  // namespace sluice::engine::tlsrpt
