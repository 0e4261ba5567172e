#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/sts/finding.h"
#include "engine/sts/http_reply.h"
#include "engine/tls/channel.h"
#include "io/event_loop.h"

namespace sluice::engine::sts {

/// Whose policy is to be fetched, and from where.
struct Source {
  std::string domain;                        // A-labels
  std::vector<io::SocketAddress> addresses;  // of mta-sts.DOMAIN, with port; one at least
  std::string authorities;                   // PEM file of those who are trusted
};

/// What came: a policy, or why none (`fault`).
struct Fetched {
  Policy policy;
  Finding fault;
};

/// One download of a policy over HTTPS (RFC 8461 section 3.3): GET
/// https://mta-sts.DOMAIN/.well-known/mta-sts.txt over TLS with a certificate that is good; of what
/// is answered only 200 with text/plain counts, and no redirect is followed. Addresses are tried in
/// their order. libcurl would be at home here, but each of its flavours in Debian loads OpenSSL's
/// libcrypto, whose names BoringSSL exports.
class Download {
 public:
  static constexpr io::Duration connect_within = std::chrono::seconds(10);
  static constexpr io::Duration end_within = std::chrono::minutes(1);

  /// Begins. Blocking for some 10 ms: reads the authorities.
  Download(io::EventLoop& loop, const Source& source);
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;
  ~Download();

  const std::string& domain() const { return source_.domain; }
  /// It has ended, and nothing of it is in flight: result() is good.
  bool is_over() const { return is_closed_; }
  Fetched& result() { return result_; }
  /// Ends soon.
  void abandon() { fail(Fault::fetch, "abandoned"); }

 private:
  void connect();
  void connected(io::Connect& op, const io::Completion& completion);
  void received(io::Receive& op, const io::Completion& completion);
  void sent(io::Send& op, const io::Completion& completion);
  void closed(io::CloseSocket& op, const io::Completion& completion);
  void expired();
  void flush();
  void look_at(bool is_over);
  void take(const HttpReply& reply);
  void try_next(std::string_view why);
  void fail(Fault fault, std::string_view why);
  void close();
  void close_when_idle();

  io::EventLoop& loop_;
  const Source source_;
  const std::string host_;
  const io::Instant ends_at_;
  tls::ContextPtr context_;
  std::optional<tls::Channel> channel_;
  size_t address_ = 0;
  bool is_asked_ = false, is_ending_ = false, is_closed_ = false;
  bool tries_next_ = false;  // once this connection is closed
  std::string answer_, to_send_, sending_;
  Fetched result_;
  io::Socket socket_;
  io::Connect connect_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  io::Timer timer_;
};

}  // namespace sluice::engine::sts
