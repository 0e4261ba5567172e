#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::io {

/// An IPv4 or IPv6 address with a port; a value of 28 bytes.
class SocketAddress {
 public:
  SocketAddress() = default;  // family AF_UNSPEC: "none"

  /// Parses `192.0.2.7:25`, `[192.0.2.7]:25`, `[2001:db8::1]:25`; with `port_default` != 0 the port
  /// may be missing. The error says what is wrong with `text`. Names are not resolved here.
  static std::expected<SocketAddress, std::string> parse(std::string_view text,
                                                         uint16_t port_default = 0);
  static SocketAddress from_sockaddr(const sockaddr* address);

  /// `192.0.2.7:25` or `[2001:db8::1]:25`; "" for none.
  std::string text() const;

  bool is_none() const { return storage_.any.sa_family == AF_UNSPEC; }
  int family() const { return storage_.any.sa_family; }
  uint16_t port() const;
  const sockaddr* data() const { return &storage_.any; }
  sockaddr* data() { return &storage_.any; }
  socklen_t size() const;
  static constexpr socklen_t capacity() { return sizeof(Storage); }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b);

 private:
  union Storage {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  Storage storage_{};
};

}  // namespace sluice::io
