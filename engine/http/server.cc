#include "engine/http/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/report/json_writer.h"
#include "io/check.h"

namespace sluice::engine::http {
namespace {

using Clock = std::chrono::steady_clock;

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  if (address->sa_family != AF_INET6) return false;
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

/// A socket that listens; the error is an errno.
std::expected<int, int> listen_on(const io::SocketAddress& address) {
  const int descriptor = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return std::unexpected(errno);
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(descriptor, address.data(), address.size()) == 0 && listen(descriptor, SOMAXCONN) == 0)
    return descriptor;
  const int error = errno;
  close(descriptor);
  return std::unexpected(error);
}

/// Of a request under way.
struct Pending {
  std::unique_ptr<Exchange> exchange;  // null: refused
  Response refusal;
  bool wants_more = true;
  uint64_t unwanted_bytes = 0;
};

MHD_Result send(MHD_Connection* connection, Response&& response) {
  MHD_Response* out = nullptr;
  struct stat status{};
  if (response.file >= 0 && fstat(response.file, &status) == 0) {
    out = MHD_create_response_from_fd64(static_cast<uint64_t>(status.st_size), response.file);
  } else {
    out = MHD_create_response_from_buffer(response.body.size(), response.body.data(),
                                          MHD_RESPMEM_MUST_COPY);
  }
  if (out == nullptr) {
    if (response.file >= 0) close(response.file);
    return MHD_NO;
  }
  MHD_add_response_header(out, MHD_HTTP_HEADER_CONTENT_TYPE, response.type.c_str());
  MHD_add_response_header(out, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  for (const auto& [name, value] : response.headers)
    MHD_add_response_header(out, name.c_str(), value.c_str());
  const MHD_Result result = MHD_queue_response(connection, response.status, out);
  MHD_destroy_response(out);
  return result;
}

/// Would it be long before the whole body has come? Then who sends it is told before.
bool is_large(const Request& request) {
  return request.content_length() > Server::unwanted_bytes_max ||
         !request.header(MHD_HTTP_HEADER_EXPECT).empty();
}

}  // namespace

std::string_view Request::header(const char* name) const {
  const char* const value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string_view() : value;
}

uint64_t Request::content_length() const {
  const std::string_view text = header(MHD_HTTP_HEADER_CONTENT_LENGTH);
  uint64_t length = 0;
  std::from_chars(text.data(), text.data() + text.size(), length);
  return length;
}

Response error_response(unsigned status, std::string_view text) {
  Response response{.status = status};
  report::JsonObject object(response.body);
  object.string("error", text);
  object.end();
  response.body.push_back('\n');
  return response;
}

Response later_response(std::string_view text) {
  Response response = error_response(503, text);
  response.headers.emplace_back("Retry-After", "10");
  return response;
}

/// Ends those that take too long over a request's header, or a body that nobody wants.
/// libmicrohttpd knows a time of silence only.
class Server::Connections {
 public:
  struct Connection {
    int descriptor;
    std::optional<Clock::time_point> began;  // none: it may take its time
  };

  Connections() : sweeper_([this](const std::stop_token& stop) { sweep(stop); }) {}

  Connection* add(int descriptor) {
    const std::lock_guard lock(mutex_);
    return &connections_.emplace_back(descriptor, Clock::now());
  }
  void remove(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connections_.remove_if([&](const Connection& other) { return &other == connection; });
  }
  void go_on(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connection->began.reset();
  }
  void begin_anew(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connection->began = Clock::now();
  }

 private:
  void sweep(const std::stop_token& stop) {
    constexpr std::chrono::seconds interval{5};
    std::unique_lock lock(mutex_);
    while (!stopped_.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); }))
      for (const Connection& connection : connections_)
        if (connection.began && Clock::now() - *connection.began > header_time_max)
          shutdown(connection.descriptor, SHUT_RDWR);
  }

  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::list<Connection> connections_;
  std::jthread sweeper_;
};

struct Server::Callbacks {
  using Connection = Connections::Connection;

  static Connection* known(MHD_Connection* connection) {
    return static_cast<Connection*>(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context);
  }

  static void connection_changed(void* self, MHD_Connection* connection, void** context,
                                 MHD_ConnectionNotificationCode code) {
    Connections& connections = *static_cast<Server*>(self)->connections_;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      *context = connections.add(
          MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    } else {
      connections.remove(static_cast<Connection*>(*context));
    }
  }

  static MHD_Result requested(void* self, MHD_Connection* connection, const char* path,
                              const char* method, const char*, const char* octets, size_t* size,
                              void** context) noexcept {
    auto& server = *static_cast<Server*>(self);
    try {
      if (*context == nullptr) return server_begins(server, connection, {method, path}, context);
      return server_goes_on(server, connection, octets, size, *static_cast<Pending*>(*context));
    } catch (const std::bad_alloc&) {
      return send(connection, {.status = MHD_HTTP_SERVICE_UNAVAILABLE,
                               .type = "text/plain",
                               .body = "out of memory\n"});
    } catch (const std::exception& error) {
      return send(connection, error_response(MHD_HTTP_INTERNAL_SERVER_ERROR, error.what()));
    }
  }

  /// The header is complete.
  static MHD_Result server_begins(Server& server, MHD_Connection* connection, Request request,
                                  void** context) {
    request.connection = connection;
    request.is_from_loopback = is_loopback(
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    auto pending = std::make_unique<Pending>();
    auto exchange = server.handler_(request);
    if (exchange) {
      pending->exchange = std::move(*exchange);
    } else if (is_large(request)) {
      return send(connection, std::move(exchange.error()));
    } else {
      pending->refusal = std::move(exchange.error());
      pending->wants_more = false;
    }
    *context = pending.release();
    return MHD_YES;
  }

  /// A piece of the body, or its end.
  static MHD_Result server_goes_on(Server& server, MHD_Connection* connection, const char* octets,
                                   size_t* size, Pending& pending) {
    if (*size == 0) {
      server.connections_->go_on(known(connection));
      return send(connection,
                  pending.exchange ? pending.exchange->answer() : std::move(pending.refusal));
    }
    if (pending.wants_more) pending.wants_more = pending.exchange->take({octets, *size});
    if (pending.wants_more)
      server.connections_->go_on(known(connection));
    else
      pending.unwanted_bytes += *size;
    *size = 0;
    return pending.unwanted_bytes <= unwanted_bytes_max ? MHD_YES : MHD_NO;
  }

  static void completed(void* self, MHD_Connection* connection, void** context,
                        MHD_RequestTerminationCode) {
    delete static_cast<Pending*>(*context);
    *context = nullptr;
    static_cast<Server*>(self)->connections_->begin_anew(known(connection));
  }
};

Server::Server(Handler handler)
    : handler_(std::move(handler)), connections_(std::make_unique<Connections>()) {}

std::expected<std::unique_ptr<Server>, std::string> Server::start(const std::string& address,
                                                                  Handler handler) {
  const auto parsed = io::SocketAddress::parse(address);
  if (!parsed) return std::unexpected(fmt::format("{}: {}", address, parsed.error()));
  const auto descriptor = listen_on(*parsed);
  if (!descriptor)
    return std::unexpected(
        fmt::format("cannot listen on {}: {}", address, std::strerror(descriptor.error())));
  std::unique_ptr<Server> server(new Server(std::move(handler)));
  socklen_t size = io::SocketAddress::capacity();
  CHECK(getsockname(*descriptor, server->address_.data(), &size) == 0);
  server->daemon_ = MHD_start_daemon(
      MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, nullptr,
      nullptr, &Callbacks::requested, server.get(),                                //
      MHD_OPTION_LISTEN_SOCKET, *descriptor,                                       //
      MHD_OPTION_CONNECTION_LIMIT, connections_max,                                //
      MHD_OPTION_CONNECTION_TIMEOUT, static_cast<unsigned>(silence_max.count()),   //
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_bytes_max,                        //
      MHD_OPTION_STRICT_FOR_CLIENT, 1,                                             //
      MHD_OPTION_NOTIFY_CONNECTION, &Callbacks::connection_changed, server.get(),  //
      MHD_OPTION_NOTIFY_COMPLETED, &Callbacks::completed, server.get(), MHD_OPTION_END);
  if (server->daemon_ != nullptr) return server;
  close(*descriptor);
  return std::unexpected(fmt::format("cannot serve HTTP on {}: {}", address, std::strerror(errno)));
}

Server::~Server() {
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

}  // namespace sluice::engine::http
