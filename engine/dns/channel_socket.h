#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/proactor.h"

namespace sluice::engine::dns {

/// A socket as c-ares believes to have: connected at once, takes whatever is sent, can be closed at
/// any time. Behind that an io::Connect, a Receive that is never without, and as many Sends as it
/// takes (one at a time on a stream).
class ChannelSocket {
 public:
  /// Each call may be the socket's last: the user may destroy a closed one from within.
  class User {
   public:
    /// A datagram, or octets of the stream.
    virtual void received(ChannelSocket& socket, std::span<const std::byte> octets) = 0;
    /// errno, 0 at the end of a stream. Told once; the user is expected to close.
    virtual void failed(ChannelSocket& socket, int error) = 0;
    /// After close(), when nothing is in flight: the socket may be destroyed, and never before.
    virtual void closed(ChannelSocket& socket) = 0;

   protected:
    ~User() = default;
  };

  ChannelSocket(io::Proactor& proactor, User& user, int number, bool is_datagram);
  ChannelSocket(const ChannelSocket&) = delete;
  ChannelSocket& operator=(const ChannelSocket&) = delete;
  ~ChannelSocket();

  void connect(const io::SocketAddress& remote);
  /// One datagram, or further octets of the stream.
  void send(std::string octets);
  /// The user hears nothing but closed() from now on, which may come from within.
  void close();

  int number() const { return number_; }
  bool is_datagram() const { return connect_.datagram; }
  bool is_closing() const { return is_closing_; }
  const io::SocketAddress& remote() const { return connect_.remote; }

 private:
  struct Sending {
    io::Send op;
    std::string octets;
  };

  void connected(io::Connect& op, const io::Completion& completion);
  void received(io::Receive& op, const io::Completion& completion);
  void sent(io::Send& op, const io::Completion& completion);
  void closed(io::CloseSocket& op, const io::Completion& completion);
  void flush();
  void fail(int error);
  void close_when_idle();

  io::Proactor& proactor_;
  User& user_;
  const int number_;
  bool is_connected_ = false, is_closing_ = false, has_failed_ = false;
  std::vector<std::string> waiting_;  // to be sent
  std::vector<std::unique_ptr<Sending>> sending_, spare_;
  io::Connect connect_;
  io::Receive receive_;
  io::CloseSocket close_;
};

}  // namespace sluice::engine::dns
