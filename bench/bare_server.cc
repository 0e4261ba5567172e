// The floor of a relay's intake: an SMTP server that does nothing but take mail and sync it before
// its 250, on this disk and with this client. Who relays cannot be faster.
//
//   build/bare_server --port 2500 & smtp-source -d -s 1 -m 10000 -l 10240 127.0.0.1:2500
//
// As little as can be: a thread a core with a listener of its own, plain system calls, no parsing
// but of the first letter of a line, no name, queue or delivery; a file that was written before
// (nothing to be allocated, no metadata to be synced), over and over; one write and one sync for
// all that came in a turn. It ends by a signal.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr size_t file_bytes = 64 << 20;

void check(bool is_done, const char* what) {
  if (is_done) return;
  std::perror(what);
  std::exit(EXIT_FAILURE);
}

struct Session {
  int socket;
  std::string text, replies;
  bool in_content = false;
};

class Server {
 public:
  Server(uint16_t port, const std::string& folder) {
    file_ = open(folder.c_str(), O_TMPFILE | O_RDWR, 0600);
    const std::string zeros(file_bytes, '\0');
    check(pwrite(file_, zeros.data(), zeros.size(), 0) == ssize_t{file_bytes}, "write");
    check(fsync(file_) == 0, "fsync");
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
    check(listen(listener_, 1024) == 0, "listen");
    watch(listener_, nullptr);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int ready = epoll_wait(epoll_, events.data(), events.size(), -1);
      touched_.clear();
      for (int i = 0; i < ready; ++i)
        events[static_cast<size_t>(i)].data.ptr
            ? receive(static_cast<Session*>(events[static_cast<size_t>(i)].data.ptr))
            : accept_one();
      keep();
      for (Session* session : touched_) {
        if (!session->replies.empty())
          send(session->socket, session->replies.data(), session->replies.size(), MSG_NOSIGNAL);
        session->replies.clear();
      }
    }
  }

 private:
  void watch(int socket, Session* session) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = session}};
    check(epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) == 0, "epoll_ctl");
  }

  void accept_one() {
    const int socket = accept(listener_, nullptr, nullptr);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* session = new Session{.socket = socket, .text = {}, .replies = "220 bare\r\n"};
    watch(socket, session);
    touched_.push_back(session);
  }

  void receive(Session* session) {
    std::array<char, 65536> octets;
    const ssize_t count = recv(session->socket, octets.data(), octets.size(), 0);
    if (count <= 0) {
      close(session->socket);
      delete session;
      return;
    }
    session->text.append(octets.data(), static_cast<size_t>(count));
    touched_.push_back(session);
    while (take(*session)) {
    }
  }

  /// A line or a whole content. False: it is not there yet.
  bool take(Session& session) {
    const std::string_view end = session.in_content ? "\r\n.\r\n" : "\r\n";
    const size_t at = session.text.find(end);
    if (at == std::string::npos) return false;
    if (session.in_content) batch_.append(session.text, 0, at);
    const char first = session.in_content ? '\0' : session.text.front();
    const bool begins = first == 'D';
    session.replies += begins ? "354 go on\r\n" : first == 'Q' ? "221 bye\r\n" : "250 ok\r\n";
    session.in_content = begins;
    session.text.erase(0, at + end.size());
    return true;
  }

  void keep() {
    if (batch_.empty()) return;
    if (end_ + batch_.size() > file_bytes) end_ = 0;
    const auto size = static_cast<ssize_t>(batch_.size());
    check(pwrite(file_, batch_.data(), batch_.size(), static_cast<off_t>(end_)) == size, "write");
    check(fdatasync(file_) == 0, "fdatasync");
    end_ += batch_.size();
    batch_.clear();
  }

  static constexpr int on = 1;
  const int epoll_ = epoll_create1(0);
  int listener_ = -1, file_ = -1;
  size_t end_ = 0;
  std::string batch_;
  std::vector<Session*> touched_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Takes mail over SMTP and syncs it, and nothing else: the floor of an intake.");
  uint16_t port = 2500;
  unsigned threads = std::thread::hardware_concurrency();
  std::string folder = "/var/tmp";
  app.add_option("--port", port, "On 127.0.0.1")->capture_default_str();
  app.add_option("--threads", threads, "Each with a listener and a file")->capture_default_str();
  app.add_option("--folder", folder, "On the disk to be measured")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::vector<std::unique_ptr<Server>> servers;
  for (unsigned i = 0; i < threads; ++i) servers.push_back(std::make_unique<Server>(port, folder));
  for (unsigned i = 1; i < threads; ++i) std::thread(&Server::run, servers[i].get()).detach();
  servers.front()->run();
}
