#include "io/bind_probe.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace sluice::io {

int probe_bind(const SocketAddress& address) {
  const int socket = ::socket(address.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return -errno;
  const int yes = 1;
  int result = 0;
  for (const int option : {SO_REUSEADDR, SO_REUSEPORT})
    if (result == 0 && ::setsockopt(socket, SOL_SOCKET, option, &yes, sizeof(yes)) < 0)
      result = -errno;
  if (result == 0 && ::bind(socket, address.data(), address.size()) < 0) result = -errno;
  ::close(socket);
  return result;
}

}  // namespace sluice::io
