#include "io/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace sluice::io {

void tell_service_manager(std::string_view state) {
  const char* const set = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = set == nullptr ? "" : set;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';  // an abstract one
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return;
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  // Nobody waits for it: what cannot be told is not.
  (void)!::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), bytes);
  ::close(socket);
}

void tell_service_manager_of_reload() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  tell_service_manager(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                                   int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000));
}

}  // namespace sluice::io
