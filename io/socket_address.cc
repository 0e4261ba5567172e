#include "io/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "io/check.h"

namespace sluice::io {
namespace {

struct Parts {
  std::string host, port;
  bool bracketed = false, has_port = false;
};

std::expected<Parts, std::string> split(std::string_view text) {
  Parts parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == text.npos) return std::unexpected(fmt::format("'{}': no ']'", text));
    parts.bracketed = true;
    parts.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':')
      return std::unexpected(fmt::format("'{}': expected ':' and a port after ']'", text));
  } else {
    const size_t colon = text.find(':');
    if (colon != text.npos && text.find(':', colon + 1) != text.npos)
      return std::unexpected(
          fmt::format("'{}': an IPv6 address stands in brackets, as in [2001:db8::1]:25", text));
    parts.host = text.substr(0, colon);
    if (colon != text.npos) rest = text.substr(colon);
  }
  if (!rest.empty()) {
    parts.has_port = true;
    parts.port = rest.substr(1);
  }
  return parts;
}

}  // namespace

std::expected<SocketAddress, std::string> SocketAddress::parse(std::string_view text,
                                                               uint16_t port_default) {
  const auto parts = split(text);
  if (!parts) return std::unexpected(parts.error());
  uint16_t port = port_default;
  if (parts->has_port) {
    const char* end = parts->port.data() + parts->port.size();
    const auto [stop, error] = std::from_chars(parts->port.data(), end, port);
    if (error != std::errc{} || stop != end)
      return std::unexpected(fmt::format("'{}': the port is a number from 0 to 65535", text));
  } else if (port_default == 0) {
    return std::unexpected(fmt::format("'{}': the port is missing", text));
  }
  SocketAddress address;
  const std::string& host = parts->host;
  const bool is_text = host.find('\0') == host.npos;
  if (is_text && inet_pton(AF_INET, host.c_str(), &address.storage_.v4.sin_addr) == 1) {
    address.storage_.v4.sin_family = AF_INET;
    address.storage_.v4.sin_port = htons(port);
    return address;
  }
  address = {};
  if (is_text && parts->bracketed &&
      inet_pton(AF_INET6, host.c_str(), &address.storage_.v6.sin6_addr) == 1) {
    address.storage_.v6.sin6_family = AF_INET6;
    address.storage_.v6.sin6_port = htons(port);
    return address;
  }
  return std::unexpected(fmt::format("'{}': '{}' is not an IPv4 or IPv6 address", text, host));
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* address) {
  SocketAddress result;
  if (address->sa_family == AF_INET)
    std::memcpy(&result.storage_.v4, address, sizeof(sockaddr_in));
  else if (address->sa_family == AF_INET6)
    std::memcpy(&result.storage_.v6, address, sizeof(sockaddr_in6));
  return result;
}

std::string SocketAddress::text() const {
  char host[INET6_ADDRSTRLEN];
  switch (family()) {
    case AF_INET:
      CHECK(inet_ntop(AF_INET, &storage_.v4.sin_addr, host, sizeof host));
      return fmt::format("{}:{}", host, port());
    case AF_INET6:
      CHECK(inet_ntop(AF_INET6, &storage_.v6.sin6_addr, host, sizeof host));
      return fmt::format("[{}]:{}", host, port());
    default: return {};
  }
}

uint16_t SocketAddress::port() const {
  switch (family()) {
    case AF_INET:  return ntohs(storage_.v4.sin_port);
    case AF_INET6: return ntohs(storage_.v6.sin6_port);
    default:       return 0;
  }
}

socklen_t SocketAddress::size() const {
  switch (family()) {
    case AF_INET:  return sizeof(sockaddr_in);
    case AF_INET6: return sizeof(sockaddr_in6);
    default:       return 0;
  }
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  switch (a.family()) {
    case AF_INET: return a.storage_.v4.sin_addr.s_addr == b.storage_.v4.sin_addr.s_addr;
    case AF_INET6:
      return std::memcmp(&a.storage_.v6.sin6_addr, &b.storage_.v6.sin6_addr, sizeof(in6_addr)) ==
                 0 &&
             a.storage_.v6.sin6_scope_id == b.storage_.v6.sin6_scope_id;
    default: return true;
  }
}

}  // namespace sluice::io
