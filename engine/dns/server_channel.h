#pragma once

#include <ares.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/dns/answer.h"
#include "engine/dns/channel_socket.h"
#include "io/event_loop.h"

namespace sluice::engine::dns {

/// What came of a question put to one server: an answer, or what was wrong in a few words.
struct Outcome {
  std::optional<Answer> answer;
  std::string problem;  // "Connection refused", "malformed answer: it ends within a record"
};

/// A question under way; what asks derives from it and outlives it.
class Question {
 public:
  Question(std::string name, RecordType type) : name_(std::move(name)), type_(type) {}
  const std::string& name() const { return name_; }
  RecordType type() const { return type_; }
  virtual void answered(Outcome&& outcome) = 0;

 protected:
  ~Question() = default;
  std::string name_;
  const RecordType type_;
};

/// A c-ares channel to one name server, on our ring: it writes the questions, knows the answers by
/// id, port and question, and turns to TCP when an answer is truncated. Patience is the asker's:
/// c-ares measures time by a clock of its own, which the simulated world has not.
///
/// A channel takes a limited number of questions, and none after one was abandoned; it ends with
/// the last that is under way. So ids never run short, no forgotten question stays in c-ares, and
/// source ports change (RFC 5452).
class ServerChannel final : ChannelSocket::User {
 public:
  static constexpr unsigned under_way_max = 256;  // a UDP socket's buffer holds that many answers
  static constexpr unsigned asked_max = 2000;
  static constexpr int datagram_octets_max = 1232;  // DNS flag day 2020: never fragmented

  struct Ticket;

  ServerChannel(io::EventLoop& loop, const io::SocketAddress& server);
  ServerChannel(const ServerChannel&) = delete;
  ServerChannel& operator=(const ServerChannel&) = delete;
  ~ServerChannel();

  /// Not now, when false.
  bool takes_questions() const {
    return channel_ != nullptr && under_way_ < under_way_max && !is_retired();
  }
  bool is_retired() const { return was_abandoned_ || asked_ >= asked_max; }
  unsigned under_way() const { return under_way_; }

  /// Never answers from within. The ticket is good until question.answered() or abandon().
  Ticket* ask(Question& question);
  void abandon(Ticket* ticket);

  /// Abandons all there is.
  void end();
  /// Nothing of it is in flight any more: it may be destroyed.
  bool is_gone() const { return channel_ == nullptr && sockets_.empty() && !is_delivering_; }

 private:
  void received(ChannelSocket& socket, std::span<const std::byte> octets) override;
  void failed(ChannelSocket& socket, int error) override;
  void closed(ChannelSocket& socket) override;
  void send(const Question& question, Ticket* ticket);
  void process(ares_socket_t readable);
  void deliver();
  void end_if_done();
  ChannelSocket* find(ares_socket_t number);
  void take(Ticket& ticket, int status, std::span<const std::byte> message);

  static void completed(void* ticket, int status, int timeouts, unsigned char* octets, int size);
  static void wants(void* channel, ares_socket_t number, int readable, int writable);
  static ares_socket_t open_socket(int family, int type, int protocol, void* channel);
  static int close_socket(ares_socket_t number, void* channel);
  static int connect_socket(ares_socket_t number, const sockaddr* address, ares_socklen_t size,
                            void* channel);
  static ares_ssize_t receive_from(ares_socket_t number, void* buffer, size_t size, int flags,
                                   sockaddr* from, ares_socklen_t* from_size, void* channel);
  static ares_ssize_t send_vector(ares_socket_t number, const iovec* parts, int count,
                                  void* channel);

  io::EventLoop& loop_;
  const io::SocketAddress server_;
  ares_channel channel_ = nullptr;
  bool is_in_ares_ = false, is_delivering_ = false, was_abandoned_ = false;
  unsigned under_way_ = 0, asked_ = 0;
  int sockets_made_ = 0, wants_write_ = ARES_SOCKET_BAD;
  std::vector<std::unique_ptr<ChannelSocket>> sockets_;
  std::deque<std::unique_ptr<Ticket>> done_;
  io::Timer deliver_timer_;
  // What c-ares reads at the moment, on one socket.
  std::span<const std::byte> incoming_;
  bool has_datagram_ = false;
  std::optional<int> incoming_error_;
  std::string last_problem_;
};

}  // namespace sluice::engine::dns
