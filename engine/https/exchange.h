#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/https/reply.h"
#include "engine/tls/channel.h"
#include "io/event_loop.h"

namespace sluice::engine::https {

/// What a server is asked. All texts are ours, or were checked: no controls.
struct Request {
  std::string host;  // its name in lower case, or address: whose certificate it is
  std::vector<io::SocketAddress> addresses;  // of it, with port; one at least
  std::string authorities;                   // PEM file of those who are trusted
  std::string method = "GET";
  std::string target;  // "/path?query"
  std::string fields;  // of the header, beside Host, User-Agent, Content-Length, Connection: lines
  std::string body;    // of a POST
};

/// Why there is no answer: "no connection within 10 s".
struct Failure {
  bool is_of_certificate = false;
  std::string reason;
};

/// One request over HTTPS, with a certificate that is good. Addresses are tried in their order
/// until one takes the connection; no redirect is followed. libcurl would be at home here, but each
/// of its flavours in Debian loads OpenSSL's libcrypto, whose names BoringSSL exports.
class Exchange {
 public:
  static constexpr io::Duration connect_within = std::chrono::seconds(10);
  static constexpr io::Duration end_within = std::chrono::minutes(1);

  /// Begins. Blocking for some 10 ms: reads the authorities.
  Exchange(io::EventLoop& loop, Request request);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange();

  /// It has ended, and nothing of it is in flight: result() is good.
  bool is_over() const { return is_closed_; }
  std::expected<Reply, Failure>& result() { return result_; }
  /// Ends soon.
  void abandon() { fail("abandoned"); }

 private:
  void connect();
  void connected(io::Connect& op, const io::Completion& completion);
  void received(io::Receive& op, const io::Completion& completion);
  void sent(io::Send& op, const io::Completion& completion);
  void closed(io::CloseSocket& op, const io::Completion& completion);
  void expired();
  void ask();
  void flush();
  void look_at(bool is_over);
  void try_next(std::string_view why);
  void fail(std::string_view why, bool is_of_certificate = false);
  void close();
  void close_when_idle();

  io::EventLoop& loop_;
  const Request request_;
  const io::Instant ends_at_;
  tls::ContextPtr context_;
  std::optional<tls::Channel> channel_;
  size_t address_ = 0;
  bool is_asked_ = false, is_ending_ = false, is_closed_ = false;
  bool tries_next_ = false;  // once this connection is closed
  std::string answer_, to_send_, sending_;
  std::expected<Reply, Failure> result_;
  io::Socket socket_;
  io::Connect connect_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  io::Timer timer_;
};

}  // namespace sluice::engine::https
