#include "engine/tlsrpt/endpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "engine/config_value.h"
#include "engine/intake/address.h"
#include "engine/mail/charset.h"

namespace sluice::engine::tlsrpt {
namespace {

std::optional<uint8_t> hex(std::string_view two) {
  uint8_t octet = 0;
  const auto [end, error] = std::from_chars(two.data(), two.data() + two.size(), octet, 16);
  if (two.size() != 2 || error != std::errc() || end != two.data() + 2) return std::nullopt;
  return octet;
}

/// RFC 3986 section 2.1, of what is to be printable ASCII.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto octet = hex(text.substr(i + 1, 2));
    if (!octet || *octet <= ' ' || *octet >= 0x7F) return std::nullopt;
    out += static_cast<char>(*octet);
    i += 2;
  }
  return out;
}

/// RFC 6068: one address; what a header would hold is of no interest.
std::optional<Endpoint> mail_endpoint(std::string_view uri, std::string_view rest) {
  const auto text = percent_decoded(rest.substr(0, rest.find_first_of("?#")));
  Endpoint endpoint{.kind = Endpoint::Kind::mail, .uri = std::string(uri)};
  if (!text || !intake::normalise_address(*text, endpoint.address)) return std::nullopt;
  return endpoint;
}

std::optional<Endpoint> https_endpoint(std::string_view uri, std::string_view rest) {
  if (!rest.starts_with("//")) return std::nullopt;
  rest = rest.substr(2, rest.find('#') - 2);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  rest.remove_prefix(authority.size());
  if (authority.find('@') != authority.npos) return std::nullopt;
  const auto hop = parse_next_hop(authority);
  if (!hop) return std::nullopt;
  Endpoint endpoint{.kind = Endpoint::Kind::https,
                    .uri = std::string(uri),
                    .host = mail::to_lower(hop->host),
                    .target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest)};
  if (endpoint.host.ends_with('.')) endpoint.host.pop_back();
  if (hop->port != 0) endpoint.port = hop->port;
  return endpoint;
}

}  // namespace

std::optional<Endpoint> parse_endpoint(std::string_view uri) {
  const bool is_plain = std::ranges::all_of(uri, [](char c) { return c > ' ' && c < 0x7F; });
  if (!is_plain || uri.size() > Endpoint::uri_octets_max) return std::nullopt;
  const size_t colon = std::min(uri.find(':'), uri.size());
  const std::string_view scheme = uri.substr(0, colon);
  const std::string_view rest = uri.substr(std::min(colon + 1, uri.size()));
  if (mail::equals_ignoring_case(scheme, "mailto")) return mail_endpoint(uri, rest);
  if (mail::equals_ignoring_case(scheme, "https")) return https_endpoint(uri, rest);
  return std::nullopt;
}

}  // namespace sluice::engine::tlsrpt
