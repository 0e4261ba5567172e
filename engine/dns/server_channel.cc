#include "engine/dns/server_channel.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

/// Longer than any question lives: c-ares' own clock never decides.
constexpr int never_ms = 3'600'000;

ares_addr_port_node node_of(const io::SocketAddress& server) {
  ares_addr_port_node node{};
  node.family = server.family();
  node.udp_port = node.tcp_port = server.port();
  if (server.family() == AF_INET)
    node.addr.addr4 = reinterpret_cast<const sockaddr_in*>(server.data())->sin_addr;
  else
    std::memcpy(&node.addr.addr6, &reinterpret_cast<const sockaddr_in6*>(server.data())->sin6_addr,
                sizeof node.addr.addr6);
  return node;
}

}  // namespace

struct ServerChannel::Ticket {
  ServerChannel& channel;
  Question* question;  // nullptr: abandoned
  Outcome outcome;
};

ServerChannel::ServerChannel(io::EventLoop& loop, const io::SocketAddress& server)
    : loop_(loop), server_(server) {
  deliver_timer_.bind<&ServerChannel::deliver>(this);
  // All that c-ares would otherwise read from the system's files and environment.
  char lookups[] = "b";
  ares_options options{};
  options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = never_ms;
  options.tries = 1;
  options.ndots = 0;
  options.lookups = lookups;
  options.ednspsz = datagram_octets_max;
  options.sock_state_cb = &ServerChannel::wants;
  options.sock_state_cb_data = this;
  const int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
                    ARES_OPT_LOOKUPS | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB |
                    ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE;
  CHECK(ares_init_options(&channel_, &options, given) == ARES_SUCCESS);
  static constexpr ares_socket_functions functions{
      &ServerChannel::open_socket, &ServerChannel::close_socket, &ServerChannel::connect_socket,
      &ServerChannel::receive_from, &ServerChannel::send_vector};
  ares_set_socket_functions(channel_, &functions, this);
  ares_addr_port_node node = node_of(server);
  CHECK(ares_set_servers_ports(channel_, &node) == ARES_SUCCESS);
}

ServerChannel::~ServerChannel() { CHECK(is_gone()); }

ServerChannel::Ticket* ServerChannel::ask(Question& question) {
  CHECK(takes_questions() && !is_in_ares_);
  auto* ticket = new Ticket{*this, &question, {}};
  ++asked_;
  ++under_way_;
  is_in_ares_ = true;
  send(question, ticket);
  is_in_ares_ = false;
  if (!done_.empty()) loop_.timers().arm(deliver_timer_, loop_.now());
  return ticket;
}

/// What ares_query() sends, with AD set: that asks for AD in the answer (RFC 6840 section 5.7),
/// without the signatures that DO would bring.
void ServerChannel::send(const Question& question, Ticket* ticket) {
  constexpr int class_in = 1, wants_recursion = 1;
  constexpr unsigned char authentic_data = 0x20;
  const auto id = static_cast<uint16_t>(loop_.proactor().random());
  unsigned char* octets = nullptr;
  int size = 0;
  const int made =
      ares_create_query(question.name().c_str(), class_in, static_cast<int>(question.type()), id,
                        wants_recursion, &octets, &size, datagram_octets_max);
  if (made != ARES_SUCCESS) return completed(ticket, made, 0, nullptr, 0);
  octets[3] |= authentic_data;
  ares_send(channel_, octets, size, &ServerChannel::completed, ticket);
  ares_free_string(octets);
}

void ServerChannel::abandon(Ticket* ticket) {
  CHECK(!is_in_ares_ && ticket->question);
  ticket->question = nullptr;
  --under_way_;
  was_abandoned_ = true;
  end_if_done();
}

void ServerChannel::end_if_done() {
  if (is_retired() && under_way_ == 0 && !is_delivering_ && channel_ != nullptr) end();
}

void ServerChannel::end() {
  CHECK(!is_in_ares_);
  if (channel_ == nullptr) return;
  was_abandoned_ = true;
  is_in_ares_ = true;
  ares_destroy(std::exchange(channel_, nullptr));
  is_in_ares_ = false;
  done_.clear();
  loop_.timers().cancel(deliver_timer_);
}

// --- What comes of questions ---

void ServerChannel::completed(void* data, int status, int, unsigned char* octets, int size) {
  auto& ticket = *static_cast<Ticket*>(data);
  const auto* bytes = reinterpret_cast<const std::byte*>(octets);
  ticket.channel.take(ticket, status, {bytes, octets ? static_cast<size_t>(size) : 0});
}

/// Within c-ares: what is to be done about it comes when c-ares has returned.
void ServerChannel::take(Ticket& ticket, int status, std::span<const std::byte> message) {
  done_.emplace_back(&ticket);
  if (!ticket.question) return;
  if (message.empty()) {
    ticket.outcome.problem = last_problem_.empty() ? ares_strerror(status) : last_problem_;
    return;
  }
  auto answer = read_answer(message, ticket.question->name(), ticket.question->type());
  if (answer)
    ticket.outcome.answer = std::move(*answer);
  else
    ticket.outcome.problem = fmt::format("malformed answer: {}", answer.error());
}

void ServerChannel::deliver() {
  if (std::exchange(is_delivering_, true)) return;
  while (!done_.empty()) {
    const std::unique_ptr<Ticket> ticket = std::move(done_.front());
    done_.pop_front();
    if (!ticket->question) continue;
    --under_way_;
    ticket->question->answered(std::move(ticket->outcome));
  }
  is_delivering_ = false;
  end_if_done();
}

// --- The sockets' side ---

void ServerChannel::received(ChannelSocket& socket, std::span<const std::byte> octets) {
  incoming_ = octets;
  if (socket.is_datagram()) {
    has_datagram_ = true;
    process(socket.number());
    has_datagram_ = false;
  } else {
    // c-ares takes a length or a message's rest at a time, and may close when it is displeased.
    const int number = socket.number();
    while (!incoming_.empty() && find(number) && !find(number)->is_closing()) process(number);
  }
  incoming_ = {};
  deliver();
}

void ServerChannel::failed(ChannelSocket& socket, int error) {
  const char* words = error == 0 ? "connection closed" : strerrordesc_np(error);
  last_problem_ = fmt::format("{}{}", socket.is_datagram() ? "" : "TCP: ", words ? words : "?");
  incoming_error_ = error;
  process(socket.number());
  incoming_error_.reset();
  last_problem_.clear();
  deliver();
}

void ServerChannel::closed(ChannelSocket& socket) {
  std::erase_if(sockets_, [&](const auto& other) { return other.get() == &socket; });
}

void ServerChannel::process(ares_socket_t readable) {
  if (channel_ == nullptr) return;
  CHECK(!is_in_ares_);
  is_in_ares_ = true;
  ares_process_fd(channel_, readable, ARES_SOCKET_BAD);
  while (wants_write_ != ARES_SOCKET_BAD)
    ares_process_fd(channel_, ARES_SOCKET_BAD, std::exchange(wants_write_, ARES_SOCKET_BAD));
  is_in_ares_ = false;
}

ChannelSocket* ServerChannel::find(ares_socket_t number) {
  const auto found = std::ranges::find(sockets_, number, &ChannelSocket::number);
  return found == sockets_.end() ? nullptr : found->get();
}

// --- c-ares' side ---

void ServerChannel::wants(void* data, ares_socket_t number, int, int writable) {
  if (writable) static_cast<ServerChannel*>(data)->wants_write_ = number;
}

ares_socket_t ServerChannel::open_socket(int, int type, int, void* data) {
  auto& self = *static_cast<ServerChannel*>(data);
  const int number = self.sockets_made_++;
  self.sockets_.push_back(std::make_unique<ChannelSocket>(
      self.loop_.proactor(), static_cast<ChannelSocket::User&>(self), number, type == SOCK_DGRAM));
  return number;
}

int ServerChannel::close_socket(ares_socket_t number, void* data) {
  auto& self = *static_cast<ServerChannel*>(data);
  if (self.wants_write_ == number) self.wants_write_ = ARES_SOCKET_BAD;
  ChannelSocket* socket = self.find(number);
  CHECK(socket);
  socket->close();
  return 0;
}

int ServerChannel::connect_socket(ares_socket_t number, const sockaddr* address, ares_socklen_t,
                                  void* data) {
  static_cast<ServerChannel*>(data)->find(number)->connect(
      io::SocketAddress::from_sockaddr(address));
  return 0;
}

ares_ssize_t ServerChannel::receive_from(ares_socket_t number, void* buffer, size_t size, int,
                                         sockaddr* from, ares_socklen_t* from_size, void* data) {
  auto& self = *static_cast<ServerChannel*>(data);
  if (self.incoming_error_) {
    const int error = *std::exchange(self.incoming_error_, std::nullopt);
    errno = error;
    return error == 0 ? 0 : -1;
  }
  ChannelSocket* socket = self.find(number);
  const bool is_over =
      socket->is_datagram() ? !std::exchange(self.has_datagram_, false) : self.incoming_.empty();
  if (is_over) {
    errno = EWOULDBLOCK;
    return -1;
  }
  // The socket is connected: nobody else's datagrams come this way.
  if (from && *from_size >= socket->remote().size()) {
    std::memcpy(from, socket->remote().data(), socket->remote().size());
    *from_size = socket->remote().size();
  }
  const size_t count = std::min(size, self.incoming_.size());
  std::memcpy(buffer, self.incoming_.data(), count);
  self.incoming_ = self.incoming_.subspan(count);
  return static_cast<ares_ssize_t>(count);
}

ares_ssize_t ServerChannel::send_vector(ares_socket_t number, const iovec* parts, int count,
                                        void* data) {
  std::string octets;
  for (int i = 0; i < count; ++i)
    octets.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  const auto size = static_cast<ares_ssize_t>(octets.size());
  static_cast<ServerChannel*>(data)->find(number)->send(std::move(octets));
  return size;
}

}  // namespace sluice::engine::dns
