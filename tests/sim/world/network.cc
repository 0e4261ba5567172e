#include "tests/sim/world/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/check.h"
#include "tests/sim/world/world.h"

namespace sluice::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr io::Duration connect_gives_up_after = seconds(130);         // tcp_syn_retries = 6
constexpr io::Duration retransmission_gives_up_after = seconds(924);  // tcp_retries2 = 15

void set_port(io::SocketAddress& address, uint16_t port) {
  // sin_port and sin6_port lie at the same place.
  reinterpret_cast<sockaddr_in*>(address.data())->sin_port = htons(port);
}

io::SocketAddress parse(const char* text) { return *io::SocketAddress::parse(text); }

bool is_loopback(const io::SocketAddress& address) {
  if (address.family() == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr) >> 24 ==
           127;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
}

/// May our machine bind to it?
bool is_our_own(const io::SocketAddress& address) {
  if (is_loopback(address)) return true;
  if (address.family() == AF_INET) {
    const uint32_t host =
        ntohl(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr);
    return host >> 24 == 10 || host == INADDR_ANY;
  }
  return IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
}

}  // namespace

/// Two ends; `wire[s]` is under way from end s to the other.
struct Network::Connection {
  struct Segment {
    char kind;  // 'd'ata, 'f'in, 'r'eset
    std::string bytes;
  };
  struct End {
    SimulatedProactor* owner = nullptr;  // nullptr: closed
    std::string outgoing, incoming;      // the kernel's buffers
    size_t outgoing_max = 0, incoming_max = 0, on_wire = 0;
    uint64_t receive_id = 0, send_id = 0;  // operations that wait, 0: none
    size_t send_taken = 0;
    uint64_t read = 0;                      // octets handed to the application
    uint64_t taken = 0;                     // octets of all Sends so far
    std::map<uint64_t, io::Instant> sends;  // octets up to the end of each Send -> when it was made
    bool has_left = false, has_sent_fin = false, has_got_fin = false, has_told_error = false;
    int error = 0;
  };
  uint64_t number = 0;
  std::string address;  // of the listener
  io::SocketAddress client;
  io::Duration latency{};
  bool is_loopback = false;  // octets are there at once
  bool is_silent = false;
  End ends[2];
  std::deque<Segment> wire[2];
  io::Instant arrives_after[2];
};

struct Network::Listener {
  io::SocketAddress address;
  SimulatedProactor* owner = nullptr;
  bool reuse_port = false;
  size_t backlog_max = 0;
  std::deque<ConnectionPointer> backlog;
  uint64_t accept_id = 0;
};

Network::Network(World& world) : world_(world), datagrams_(world) {}

Network::~Network() = default;

bool Network::ReadMark::is_read() const {
  return connection_ && connection_->ends[1 - side_].read >= octets_;
}

Network::ReadMark Network::mark(const SimulatedProactor& proactor, io::Socket socket,
                                uint64_t octets_sent) const {
  const auto found = sockets_.find({proactor.number(), socket.index});
  CHECK(found != sockets_.end() && found->second.connection);
  ReadMark mark;
  mark.connection_ = found->second.connection;
  mark.side_ = found->second.side;
  mark.octets_ = octets_sent;
  return mark;
}

io::Instant Network::sent_at(const SimulatedProactor& proactor, io::Socket socket,
                             uint64_t octets) const {
  const auto found = sockets_.find({proactor.number(), socket.index});
  CHECK(found != sockets_.end() && found->second.connection);
  const auto& sends = found->second.connection->ends[1 - found->second.side].sends;
  const auto send = sends.lower_bound(octets);
  CHECK(send != sends.end());
  return send->second;
}

bool Network::is_peer_open(const SimulatedProactor& proactor, io::Socket socket) const {
  const auto found = sockets_.find({proactor.number(), socket.index});
  if (found == sockets_.end() || !found->second.connection) return false;
  const Connection::End& peer = found->second.connection->ends[1 - found->second.side];
  return peer.owner && peer.error == 0;
}

void Network::set_reach(const io::SocketAddress& address, Reach reach) {
  reach_[address.text()] = reach;
}

uint64_t Network::connects(const io::SocketAddress& address) const {
  const auto found = connects_.find(address.text());
  return found == connects_.end() ? 0 : found->second;
}

void Network::cut(const io::SocketAddress& address) { cut_[address.text()]; }

void Network::heal(const io::SocketAddress& address) {
  const auto healed = cut_.extract(address.text());
  if (!healed) return;
  for (auto& arrival : healed.mapped()) world_.after(milliseconds(200), std::move(arrival));
}

Reach Network::reach(const io::SocketAddress& address) const {
  if (cut_.contains(address.text())) return Reach::black_hole;
  const auto found = reach_.find(address.text());
  return found == reach_.end() ? Reach::normal : found->second;
}

io::Duration Network::draw_latency(const io::SocketAddress& remote) {
  if (is_loopback(remote)) return microseconds(15);
  return world_.random().between(microseconds(15),
                                 std::max<io::Duration>(latency_max / 2, microseconds(15)));
}

void Network::break_connections(const io::SocketAddress& address) {
  std::vector<ConnectionPointer> broken;
  for (const auto& [key, entry] : sockets_)
    if (entry.connection && entry.connection->address == address.text())
      broken.push_back(entry.connection);
  for (const ConnectionPointer& connection : broken)
    for (int side = 0; side < 2; ++side) fail(connection, side, ECONNRESET);
}

Network::Entry* Network::find(const SimulatedProactor& proactor, io::Socket socket) {
  const auto found = sockets_.find({proactor.number(), socket.index});
  return found == sockets_.end() ? nullptr : &found->second;
}

unsigned Network::count(const SimulatedProactor& proactor) const {
  const auto first = sockets_.lower_bound({proactor.number(), 0}),
             last = sockets_.lower_bound({proactor.number() + 1, 0});
  return static_cast<unsigned>(std::distance(first, last));
}

io::Socket Network::add(SimulatedProactor& proactor, Entry entry) {
  const io::Socket socket{next_socket_++};
  sockets_[{proactor.number(), socket.index}] = std::move(entry);
  return socket;
}

// --- Connecting ---

Reach Network::draw_reach(SimulatedProactor& proactor, const io::SocketAddress& remote) {
  const std::string text = remote.text();
  if (const auto reach = reach_.find(text); reach != reach_.end() && reach->second != Reach::normal)
    return reach->second;
  if (cut_.contains(text)) return Reach::black_hole;
  if (!proactor.process().is_ours()) return Reach::normal;
  const FaultPlan& faults = world_.faults;
  if (world_.random().chance(faults.connect_refused)) return Reach::refused;
  if (world_.random().chance(faults.connect_unreachable)) return Reach::unreachable;
  if (world_.random().chance(faults.connect_black_hole)) return Reach::black_hole;
  return Reach::normal;
}

/// Gives `op` the local address it will have; or an error.
int32_t Network::choose_local(SimulatedProactor& proactor, io::Connect& op) {
  if (op.remote.is_none()) return -EAFNOSUPPORT;
  if (count(proactor) >= proactor.sockets_max) return -EMFILE;
  if (proactor.process().is_ours() && !op.datagram && world_.faults.socket_refused > 0 &&
      world_.random().chance(world_.faults.socket_refused))
    return -EMFILE;
  if (!op.local.is_none()) {
    if (op.local.family() != op.remote.family()) return -EAFNOSUPPORT;
    if (proactor.process().is_ours() && !is_our_own(op.local)) return -EADDRNOTAVAIL;
  } else if (is_loopback(op.remote)) {
    op.local = op.remote;
    set_port(op.local, 0);
  } else {
    op.local = parse(op.remote.family() == AF_INET ? "10.0.0.1:1" : "[fd00::1]:1");
    set_port(op.local, 0);
  }
  while (op.local.port() == 0) {
    set_port(op.local, ++next_port_ < 20000 ? next_port_ = 20000 : next_port_);
    if (op.datagram && datagrams_.is_taken(op.local)) set_port(op.local, 0);
  }
  return op.datagram && datagrams_.is_taken(op.local) ? -EADDRINUSE : 0;
}

void Network::connect(SimulatedProactor& proactor, uint64_t id, io::Connect& op) {
  op.socket = {};
  if (const int32_t error = choose_local(proactor, op); error < 0)
    return proactor.complete(id, error);
  if (op.datagram) {
    op.socket = add(proactor, {.datagrams = datagrams_.open(proactor, op)});
    return proactor.complete(id, 0);
  }
  ++connects_[op.remote.text()];

  const io::Duration round_trip =
      is_loopback(op.remote)
          ? io::Duration(microseconds(30))
          : world_.random().between(microseconds(30),
                                    std::max<io::Duration>(latency_max, microseconds(30)));
  const Reach reach = draw_reach(proactor, op.remote);
  const io::Instant give_up = world_.now() + connect_gives_up_after;
  const auto fail_later = [&](io::Duration when, int32_t error) {
    world_.after(when, [&proactor, id, error] {
      if (proactor.find(id)) proactor.complete(id, error);
    });
  };
  switch (reach) {
    case Reach::refused:     return fail_later(round_trip, -ECONNREFUSED);
    case Reach::unreachable: return fail_later(round_trip, -EHOSTUNREACH);
    case Reach::black_hole:  return fail_later(connect_gives_up_after, -ETIMEDOUT);
    case Reach::normal:
      world_.after(round_trip,
                   [this, &proactor, id, give_up] { establish(proactor, id, give_up); });
  }
}

void Network::establish(SimulatedProactor& proactor, uint64_t id, io::Instant give_up) {
  auto* op = static_cast<io::Connect*>(proactor.find(id));
  if (!op) return;
  const std::string address = op->remote.text();
  std::vector<std::shared_ptr<Listener>> listening;
  const auto [first, last] = listeners_.equal_range(address);
  for (auto at = first; at != last; ++at) listening.push_back(at->second);
  if (listening.empty()) return proactor.complete(id, -ECONNREFUSED);
  const std::shared_ptr<Listener> listener = listening[world_.random().below(listening.size())];
  if (listener->backlog.size() >= listener->backlog_max ||
      cut_.contains(address)) {  // the SYN is dropped, and sent again
    if (world_.now() >= give_up) return proactor.complete(id, -ETIMEDOUT);
    world_.after(seconds(1), [this, &proactor, id, give_up] { establish(proactor, id, give_up); });
    return;
  }

  Random& random = world_.random();
  const auto connection = std::make_shared<Connection>();
  connection->number = ++connections_made_;
  connection->address = address;
  connection->client = op->local;
  connection->latency =
      random.between(microseconds(10), std::max<io::Duration>(latency_max / 2, microseconds(10)));
  connection->is_loopback = is_loopback(op->remote);
  for (auto& end : connection->ends) {
    end.outgoing_max = random.between(2048, 65536);
    end.incoming_max = random.between(2048, 65536);
  }
  connection->ends[0].owner = &proactor;
  connection->ends[1].owner = listener->owner;
  op->socket = add(proactor, {.connection = connection, .side = 0});
  proactor.complete(id, 0);
  if (proactor.process().is_ours()) draw_connection_fault(connection);
  listener->backlog.push_back(connection);
  offer(*listener);
}

void Network::draw_connection_fault(const ConnectionPointer& connection) {
  const FaultPlan& faults = world_.faults;
  const bool breaks = world_.random().chance(faults.connection_broken);
  const bool falls_silent = !breaks && world_.random().chance(faults.connection_silent);
  if (!breaks && !falls_silent) return;
  world_.after(world_.random().between(io::Duration(0), faults.connection_fault_within),
               [this, connection, breaks] {
                 world_.note(breaks ? "broken" : "silent", connection->number);
                 connection->is_silent = true;
                 for (int side = 0; breaks && side < 2; ++side) fail(connection, side, ECONNRESET);
               });
}

// --- Listening ---

void Network::listen(SimulatedProactor& proactor, uint64_t id, io::Listen& op) {
  op.socket = {};
  if (op.address.is_none()) return proactor.complete(id, -EAFNOSUPPORT);
  if (count(proactor) >= proactor.sockets_max) return proactor.complete(id, -EMFILE);
  if (proactor.process().is_ours() && !is_our_own(op.address))
    return proactor.complete(id, -EADDRNOTAVAIL);
  while (op.address.port() == 0) {
    set_port(op.address, ++next_port_ < 20000 ? next_port_ = 20000 : next_port_);
    if (listeners_.contains(op.address.text())) set_port(op.address, 0);
  }
  const std::string text = op.address.text();
  const auto [first, last] = listeners_.equal_range(text);
  if (std::any_of(first, last,
                  [&](const auto& other) { return !op.reuse_port || !other.second->reuse_port; }))
    return proactor.complete(id, -EADDRINUSE);
  const auto listener = std::make_shared<Listener>();
  listener->address = op.address;
  listener->owner = &proactor;
  listener->reuse_port = op.reuse_port;
  listener->backlog_max = static_cast<size_t>(std::max(op.backlog, 1));
  listeners_.emplace(text, listener);
  op.socket = add(proactor, {.listener = listener});
  proactor.complete(id, 0);
}

void Network::accept(SimulatedProactor& proactor, uint64_t id, io::Accept& op) {
  Entry* entry = find(proactor, op.listener);
  if (!entry) return proactor.complete(id, -EBADF);
  if (!entry->listener) return proactor.complete(id, -EINVAL);
  CHECK(entry->listener->accept_id == 0);
  entry->listener->accept_id = id;
  offer(*entry->listener);
}

void Network::offer(Listener& listener) {
  while (listener.accept_id != 0 && !listener.backlog.empty()) {
    if (count(*listener.owner) >= listener.owner->sockets_max) {
      listener.owner->complete(std::exchange(listener.accept_id, 0), -EMFILE);
      return;
    }
    const ConnectionPointer connection = std::move(listener.backlog.front());
    listener.backlog.pop_front();
    listener.owner->complete(listener.accept_id, 0, true, {},
                             add(*listener.owner, {.connection = connection, .side = 1}),
                             connection->client);
  }
}

// --- Streams ---

void Network::receive(SimulatedProactor& proactor, uint64_t id, io::Receive& op) {
  Entry* entry = find(proactor, op.socket);
  if (!entry) return proactor.complete(id, -EBADF);
  if (entry->datagrams) return datagrams_.receive(entry->datagrams, id);
  if (!entry->connection) return proactor.complete(id, -ENOTCONN);
  Connection::End& end = entry->connection->ends[entry->side];
  CHECK(end.receive_id == 0);
  end.receive_id = id;
  feed(entry->connection, entry->side);
}

void Network::send(SimulatedProactor& proactor, uint64_t id, io::Send& op) {
  Entry* entry = find(proactor, op.socket);
  if (!entry) return proactor.complete(id, -EBADF);
  if (entry->datagrams) return datagrams_.send(entry->datagrams, id, op);
  if (!entry->connection) return proactor.complete(id, -ENOTCONN);
  Connection::End& end = entry->connection->ends[entry->side];
  CHECK(end.send_id == 0);
  if (end.error != 0)
    return proactor.complete(id, std::exchange(end.has_told_error, true) ? -EPIPE : -end.error);
  end.send_id = id;
  end.send_taken = 0;
  end.sends.emplace(end.taken + op.bytes.size(), world_.now());
  pump(entry->connection, entry->side);
}

/// Moves what end `side` sends as far as buffers allow.
void Network::pump(const ConnectionPointer& connection, int side) {
  Connection::End& from = connection->ends[side];
  Connection::End& to = connection->ends[1 - side];
  if (from.error != 0 || from.has_sent_fin) return;
  Random& random = world_.random();
  for (;;) {
    if (from.send_id != 0) {
      const auto& op = static_cast<const io::Send&>(*from.owner->find(from.send_id));
      const size_t count =
          std::min(op.bytes.size() - from.send_taken,
                   from.outgoing_max - std::min(from.outgoing_max, from.outgoing.size()));
      from.outgoing.append(reinterpret_cast<const char*>(op.bytes.data()) + from.send_taken, count);
      from.taken += count;
      from.send_taken += count;
      if (from.send_taken == op.bytes.size())
        from.owner->complete(std::exchange(from.send_id, 0), static_cast<int32_t>(op.bytes.size()));
    }
    const size_t used = to.incoming.size() + from.on_wire;
    const size_t window = used < to.incoming_max ? to.incoming_max - used : 0;
    size_t count = std::min(from.outgoing.size(), window);
    // Slivers of window are not worth a segment (RFC 1122 section 4.2.3.4), or they never grow
    // again.
    if (count == 0 || (count < from.outgoing.size() && count < to.incoming_max / 4)) break;
    if (random.chance(0.3)) count = random.between(1, count);
    from.on_wire += count;
    transmit(connection, side, 'd', from.outgoing.substr(0, count));
    from.outgoing.erase(0, count);
  }
  if (from.has_left && from.outgoing.empty()) {
    from.has_sent_fin = true;
    transmit(connection, side, 'f', {});
  }
}

void Network::transmit(const ConnectionPointer& connection, int side, char kind,
                       std::string bytes) {
  connection->wire[side].push_back({kind, std::move(bytes)});
  io::Duration takes =
      connection->is_loopback
          ? io::Duration(0)
          : connection->latency + world_.random().between(microseconds(0), microseconds(100));
  if (world_.random().chance(world_.faults.segment_slow))
    takes += world_.random().between(io::Duration(0), world_.faults.segment_slow_max);
  io::Instant& when = connection->arrives_after[side];
  when = std::max(when, world_.now() + takes);
  world_.at(when, [this, connection, side] { arrive(connection, side); });
}

/// The next segment from end `side` reaches the other. Each transmit() brings one arrive(), so
/// segments never overtake.
void Network::arrive(const ConnectionPointer& connection, int side) {
  if (connection->wire[side].empty()) return;  // a break swept the wire
  if (connection->is_silent) {
    connection->wire[side].clear();
    world_.after(retransmission_gives_up_after,
                 [this, connection, side] { fail(connection, side, ETIMEDOUT); });
    return;
  }
  if (const auto cut = cut_.find(connection->address); cut != cut_.end()) {
    cut->second.push_back([this, connection, side] { arrive(connection, side); });
    return;
  }
  const Connection::Segment segment = std::move(connection->wire[side].front());
  connection->wire[side].pop_front();
  Connection::End& to = connection->ends[1 - side];
  if (segment.kind == 'r') return fail(connection, 1 - side, ECONNRESET);
  connection->ends[side].on_wire -= segment.bytes.size();
  if (segment.kind == 'f') {
    to.has_got_fin = true;
  } else if (!to.owner) {
    transmit(connection, 1 - side, 'r', {});
    return;
  } else {
    to.incoming += segment.bytes;
  }
  feed(connection, 1 - side);
}

/// Gives what end `side` has to its Receive.
void Network::feed(const ConnectionPointer& connection, int side) {
  Connection::End& end = connection->ends[side];
  if (end.receive_id == 0) return;
  Random& random = world_.random();
  const bool had_octets = !end.incoming.empty();
  while (!end.incoming.empty()) {
    size_t count = std::min<size_t>(end.incoming.size(), 4096);
    if (random.chance(0.2)) count = random.between(1, count);
    end.read += count;
    end.owner->complete(end.receive_id, static_cast<int32_t>(count), true,
                        end.incoming.substr(0, count));
    end.incoming.erase(0, count);
  }
  if (end.error != 0) {
    end.has_told_error = true;
    end.owner->complete(std::exchange(end.receive_id, 0), -end.error);
  } else if (end.has_got_fin) {
    end.owner->complete(std::exchange(end.receive_id, 0), 0);
  } else if (had_octets) {
    pump(connection, 1 - side);
  }
}

/// The connection is over for end `side`: its operations say so.
void Network::fail(const ConnectionPointer& connection, int side, int error) {
  Connection::End& end = connection->ends[side];
  if (end.error != 0) return;
  end.error = error;
  end.outgoing.clear();
  connection->wire[side].clear();
  if (!end.owner) return;
  if (end.send_id != 0) {
    end.has_told_error = true;
    end.owner->complete(std::exchange(end.send_id, 0), -error);
  }
  feed(connection, side);
}

// --- The end of things ---

/// End `side` is closed by its application or by the kernel of a dead process.
void Network::leave(const ConnectionPointer& connection, int side) {
  Connection::End& end = connection->ends[side];
  end.owner = nullptr;
  end.receive_id = end.send_id = 0;
  end.has_left = true;
  if (end.error != 0) return;
  if (!end.incoming.empty()) {
    end.error = ECONNRESET;
    end.outgoing.clear();
    transmit(connection, side, 'r', {});
    return;
  }
  pump(connection, side);
}

void Network::close(SimulatedProactor& proactor, uint64_t id, io::CloseSocket& op) {
  Entry* entry = find(proactor, op.socket);
  if (!entry) return proactor.complete(id, -EBADF);
  const Entry closed = *entry;
  sockets_.erase({proactor.number(), op.socket.index});
  if (closed.datagrams) datagrams_.close(closed.datagrams);
  if (closed.connection) leave(closed.connection, closed.side);
  if (closed.listener) {
    std::erase_if(listeners_, [&](const auto& other) { return other.second == closed.listener; });
    for (const ConnectionPointer& connection : closed.listener->backlog) {
      connection->ends[1].incoming = "x";  // whoever was not accepted is reset
      leave(connection, 1);
    }
  }
  proactor.complete(id, 0);
}

void Network::forget(SimulatedProactor& proactor, uint64_t id, io::Op& op) {
  const auto clear = [id](uint64_t& waiting) {
    if (waiting == id) waiting = 0;
  };
  const auto end_of = [&](io::Socket socket) -> Connection::End* {
    Entry* entry = find(proactor, socket);
    return entry && entry->connection ? &entry->connection->ends[entry->side] : nullptr;
  };
  if (op.kind == io::OpKind::receive) {
    Entry* entry = find(proactor, static_cast<io::Receive&>(op).socket);
    if (entry && entry->datagrams) clear(entry->datagrams->receive_id);
    if (auto* end = end_of(static_cast<io::Receive&>(op).socket)) clear(end->receive_id);
  } else if (op.kind == io::OpKind::send) {
    if (auto* end = end_of(static_cast<io::Send&>(op).socket)) clear(end->send_id);
  } else if (op.kind == io::OpKind::accept) {
    Entry* entry = find(proactor, static_cast<io::Accept&>(op).listener);
    if (entry && entry->listener) clear(entry->listener->accept_id);
  }
}

void Network::end(SimulatedProactor& proactor, bool power_lost) {
  const auto first = sockets_.lower_bound({proactor.number(), 0}),
             last = sockets_.lower_bound({proactor.number() + 1, 0});
  const std::vector<std::pair<Key, Entry>> open(first, last);
  sockets_.erase(first, last);
  for (const auto& [key, entry] : open) {
    std::vector<std::pair<ConnectionPointer, int>> left;
    if (entry.datagrams) datagrams_.close(entry.datagrams);
    if (entry.connection) left.emplace_back(entry.connection, entry.side);
    if (entry.listener) {
      std::erase_if(listeners_, [&](const auto& other) { return other.second == entry.listener; });
      for (const ConnectionPointer& connection : entry.listener->backlog)
        left.emplace_back(connection, 1);
    }
    for (const auto& [connection, side] : left) {
      if (!power_lost) {
        leave(connection, side);
        continue;
      }
      Connection::End& gone = connection->ends[side];
      gone.owner = nullptr;
      gone.receive_id = gone.send_id = 0;
      gone.error = ECONNRESET;
      gone.outgoing.clear();
      if (world_.random().chance(0.5)) connection->wire[side].clear();
    }
  }
}

}  // namespace sluice::sim
