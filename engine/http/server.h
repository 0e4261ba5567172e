#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/socket_address.h"

struct MHD_Connection;
struct MHD_Daemon;

namespace sluice::engine::http {

/// A request up to its body. Views are valid while it is answered.
struct Request {
  std::string_view method, path;  // the path percent-decoded, without the query
  bool is_from_loopback = false;
  MHD_Connection* connection = nullptr;

  /// "" when there is none of that name; of several the last one.
  std::string_view header(const char* name) const;
  /// 0 when the header does not say.
  uint64_t content_length() const;
};

struct Response {
  unsigned status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  int file = -1;  // instead of `body`: this descriptor's whole file; closed when it was sent
};

/// `{"error": text}` with a line's end.
Response error_response(unsigned status, std::string_view text);

/// The same for 503, with Retry-After.
Response later_response(std::string_view text);

/// What answers one request. Destroyed when the answer is sent or the connection broke.
class Exchange {
 public:
  virtual ~Exchange() = default;
  /// Octets of the body, as they come. False: no more of it is wanted, the answer is known; the
  /// rest is passed over, and where it is long the connection is closed.
  virtual bool take(std::string_view octets) = 0;
  /// The body is complete, or not wanted any more. May take its time.
  virtual Response answer() = 0;
};

/// The server's requests, from any of its threads at once. An answer may be given at once, without
/// a look at the body.
using Handler =
    std::function<std::expected<std::unique_ptr<Exchange>, Response>(const Request& request)>;

/// An HTTP/1.1 server on threads of its own, one a connection: an answer may block. No client can
/// hold a connection for long without a request: header and each piece of a body have
/// their time, a header its size, and connections their number.
class Server {
 public:
  static constexpr unsigned connections_max = 256;
  static constexpr size_t header_bytes_max = 32 * 1024;
  static constexpr std::chrono::seconds silence_max{30};      // within a request or between two
  static constexpr std::chrono::seconds header_time_max{30};  // and a body that nobody wants
  static constexpr uint64_t unwanted_bytes_max = 16 * 1024 * 1024;  // of a body, passed over

  /// Listens; `handler` is called from now on. Signals should be blocked in the calling thread:
  /// those of the server inherit that. The error is one line for the operator.
  static std::expected<std::unique_ptr<Server>, std::string> start(const std::string& address,
                                                                   Handler handler);
  /// Waits for the answers under way.
  ~Server();

  /// Where it listens, the port known.
  const io::SocketAddress& address() const { return address_; }

 private:
  class Connections;
  struct Callbacks;
  explicit Server(Handler handler);

  const Handler handler_;
  std::unique_ptr<Connections> connections_;
  MHD_Daemon* daemon_ = nullptr;
  io::SocketAddress address_;
};

}  // namespace sluice::engine::http
