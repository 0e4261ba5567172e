#include "tests/sim/world/datagrams.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/check.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

using std::chrono::microseconds;

namespace {

constexpr size_t waiting_max = 256;    // what a socket's buffer holds of datagrams as small as ours
constexpr size_t received_max = 4096;  // a buffer of the real Proactor's ring
constexpr size_t datagram_max = 65507;  // of IPv4

}  // namespace

void Datagrams::serve(const io::SocketAddress& address, Service service) {
  if (service)
    services_[address.text()] = std::move(service);
  else
    services_.erase(address.text());
}

void Datagrams::send(const io::SocketAddress& from, const io::SocketAddress& to,
                     std::string octets) {
  if (world_.network().is_cut(from)) return;
  travel(from, to, std::move(octets));
}

bool Datagrams::is_taken(const io::SocketAddress& local) const {
  return sockets_.contains(local.text());
}

Datagrams::SocketPointer Datagrams::open(SimulatedProactor& proactor, const io::Connect& op) {
  auto socket = std::make_shared<Socket>();
  socket->local = op.local;
  socket->remote = op.remote;
  socket->owner = &proactor;
  sockets_[op.local.text()] = socket;
  return socket;
}

void Datagrams::receive(const SocketPointer& socket, uint64_t id) {
  CHECK(socket->receive_id == 0);
  socket->receive_id = id;
  feed(*socket);
}

void Datagrams::send(const SocketPointer& socket, uint64_t id, const io::Send& op) {
  if (socket->error != 0) return socket->owner->complete(id, -std::exchange(socket->error, 0));
  if (op.bytes.size() > datagram_max) return socket->owner->complete(id, -EMSGSIZE);
  socket->owner->complete(id, static_cast<int32_t>(op.bytes.size()));
  if (op.bytes.empty()) return;
  std::string octets(reinterpret_cast<const char*>(op.bytes.data()), op.bytes.size());
  Network& network = world_.network();
  const auto refuse = [&](int error) {
    world_.after(network.draw_latency(socket->remote),
                 [this, from = socket->local, to = socket->remote, error] {
                   report_error(from, to, error);
                 });
  };
  switch (network.reach(socket->remote)) {
    case Reach::refused:     return refuse(ECONNREFUSED);
    case Reach::unreachable: return refuse(EHOSTUNREACH);
    case Reach::black_hole:  return;
    case Reach::normal:      return travel(socket->local, socket->remote, std::move(octets));
  }
}

void Datagrams::close(const SocketPointer& socket) {
  socket->owner = nullptr;
  socket->receive_id = 0;
  sockets_.erase(socket->local.text());
}

void Datagrams::travel(const io::SocketAddress& from, const io::SocketAddress& to,
                       std::string octets) {
  if (world_.random().chance(world_.faults.datagram_lost)) return;
  const bool is_ours = sockets_.contains(to.text());
  world_.after(world_.network().draw_latency(is_ours ? from : to),
               [this, from, to, octets = std::move(octets)]() mutable {
                 arrive(from, to, std::move(octets));
               });
}

void Datagrams::arrive(const io::SocketAddress& from, const io::SocketAddress& to,
                       std::string octets) {
  if (world_.network().is_cut(to)) return;
  if (const auto service = services_.find(to.text()); service != services_.end())
    return service->second(from, std::move(octets));
  if (Socket* socket = find(to, from)) {
    if (socket->incoming.size() >= waiting_max) return;
    socket->incoming.push_back(octets.substr(0, received_max));
    return feed(*socket);
  }
  report_error(from, to, ECONNREFUSED);
}

/// An ICMP error about a datagram that went from `from` to `to`.
void Datagrams::report_error(const io::SocketAddress& from, const io::SocketAddress& to,
                             int error) {
  Socket* socket = find(from, to);
  if (!socket) return;
  socket->error = error;
  feed(*socket);
}

Datagrams::Socket* Datagrams::find(const io::SocketAddress& local,
                                   const io::SocketAddress& remote) {
  const auto found = sockets_.find(local.text());
  return found != sockets_.end() && found->second->remote == remote ? found->second.get() : nullptr;
}

void Datagrams::feed(Socket& socket) {
  while (socket.receive_id != 0 && !socket.incoming.empty()) {
    std::string octets = std::move(socket.incoming.front());
    socket.incoming.pop_front();
    if (octets.empty()) return socket.owner->complete(std::exchange(socket.receive_id, 0), 0);
    const auto size = static_cast<int32_t>(octets.size());
    socket.owner->complete(socket.receive_id, size, true, std::move(octets));
  }
  if (socket.receive_id != 0 && socket.error != 0)
    socket.owner->complete(std::exchange(socket.receive_id, 0), -std::exchange(socket.error, 0));
}

}  // namespace sluice::sim
