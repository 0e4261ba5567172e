#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/socket_address.h"

namespace sluice::engine::dns {

/// The servers that resolv.conf(5) names, in order, port 53; at most three, as the C library has
/// it. Lines that name none are passed over.
std::vector<io::SocketAddress> resolv_conf_servers(std::string_view text);

/// Those of /etc/resolv.conf; 127.0.0.1 where it names none. Blocking.
std::vector<io::SocketAddress> system_servers();

}  // namespace sluice::engine::dns
