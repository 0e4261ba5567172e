#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "io/socket_address.h"

namespace sluice::engine::dns {

/// Whose word it is that an answer is authentic (the AD bit, RFC 4035 section 3.2.3): between us
/// and a resolver anybody may set it, unless nobody can be there.
enum class DnssecTrust : uint8_t { loopback, yes, no };

inline bool is_believed(DnssecTrust trust, const io::SocketAddress& server) {
  if (trust != DnssecTrust::loopback) return trust == DnssecTrust::yes;
  if (server.family() == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(server.data())->sin6_addr);
  const uint32_t v4 = ntohl(reinterpret_cast<const sockaddr_in*>(server.data())->sin_addr.s_addr);
  return server.family() == AF_INET && v4 >> 24 == IN_LOOPBACKNET;
}

}  // namespace sluice::engine::dns
