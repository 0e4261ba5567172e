#pragma once

#include "io/socket_address.h"

namespace sluice::io {

/// 0 when a socket of this process could listen on `address` now, beside others of its own there;
/// else the negative errno. Nobody is listened to. Blocking, a few system calls.
int probe_bind(const SocketAddress& address);

}  // namespace sluice::io
