#pragma once

#include <string>
#include <string_view>

#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine::mail {

/// What a server says of a message that it took (RFC 5321 section 4.4). Who authenticated is not
/// said: every reader of the message would learn a name to try passwords on.
struct Received {
  std::string_view client_name;  // as EHLO gave it, anything
  io::SocketAddress client;
  std::string_view hostname;   // ours
  std::string_view protocol;   // "ESMTPSA" (RFC 3848)
  std::string_view tls;        // "TLSv1.3 TLS_AES_128_GCM_SHA256"; "" without
  std::string_view id;         // of letters, digits and . - _
  std::string_view recipient;  // where there is one only, else others would be told; "" for none
  io::WallTime time{};
};

/// Appends the field, folded, with its CRLF. What the client chose can neither end a line nor a
/// comment: a name that is none gives way to the address, a recipient that cannot stand there is
/// left out. Lines are within 998 octets.
void append_received(std::string& out, const Received& received);

/// `[192.0.2.7]` or `[IPv6:2001:db8::7]` (RFC 5321 section 4.1.3), an IPv4 address mapped into IPv6
/// as what it is.
std::string address_literal(const io::SocketAddress& address);

}  // namespace sluice::engine::mail
