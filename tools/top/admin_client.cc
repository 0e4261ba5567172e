#include "tools/top/admin_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace sluice::tools {

namespace {

/// A descriptor that is closed at the end.
class Connection {
 public:
  explicit Connection(int family) : descriptor_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Connection() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects, sends and reads to the end; the error is an errno.
  std::expected<std::string, int> exchange(const io::SocketAddress& to, std::string_view request) {
    const timeval patience{.tv_sec = AdminClient::patience.count(), .tv_usec = 0};
    for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
      ::setsockopt(descriptor_, SOL_SOCKET, option, &patience, sizeof(patience));
    if (descriptor_ < 0 || ::connect(descriptor_, to.data(), to.size()) < 0)
      return std::unexpected(errno);
    if (::send(descriptor_, request.data(), request.size(), MSG_NOSIGNAL) < 0)
      return std::unexpected(errno);
    std::string answer;
    std::array<char, 16 * 1024> piece;
    for (ssize_t count = 0; (count = ::recv(descriptor_, piece.data(), piece.size(), 0)) != 0;) {
      if (count < 0) return std::unexpected(errno);
      answer.append(piece.data(), static_cast<size_t>(count));
      if (answer.size() > AdminClient::answer_bytes_max) return std::unexpected(EMSGSIZE);
    }
    return answer;
  }

 private:
  const int descriptor_;
};

}  // namespace

std::expected<std::string, std::string> AdminClient::get(const std::string& path) const {
  const std::string authorization =
      token_.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", token_);
  // HTTP/1.0: the answer ends with the connection, and comes in one piece.
  const std::string request =
      fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\n{}\r\n", path, address_.text(), authorization);
  const auto answer = Connection(address_.family()).exchange(address_, request);
  if (!answer) {
    const int error = answer.error() == EAGAIN ? ETIMEDOUT : answer.error();
    return std::unexpected(
        fmt::format("{}: {}; does an engine run there, and has it an admin.address?",
                    address_.text(), std::strerror(error)));
  }
  const size_t head = answer->find("\r\n\r\n");
  const std::string_view status = std::string_view(*answer).substr(0, answer->find("\r\n"));
  if (head == answer->npos || !status.starts_with("HTTP/1.") || status.size() < 12)
    return std::unexpected(fmt::format("{}: what answers there is no engine", address_.text()));
  const std::string_view code = status.substr(9, 3);
  if (code == "200") return answer->substr(head + 4);
  if (code == "401" || code == "403")
    return std::unexpected(
        fmt::format("{}{}: not allowed; name the engine's admin.token_file with --token-file",
                    address_.text(), path));
  return std::unexpected(fmt::format("{}{}: answered {}", address_.text(), path, code));
}

}  // namespace sluice::tools
