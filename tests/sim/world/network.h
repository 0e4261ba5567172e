#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/op.h"
#include "tests/sim/world/datagrams.h"
#include "tests/sim/world/simulated_proactor.h"

namespace sluice::sim {

class World;

/// How a Connect to an address ends.
enum class Reach : uint8_t { normal, refused, unreachable, black_hole };

/// TCP and UDP between the world's proactors: see README.md. Loopback addresses and 10.0.0.0/8 are
/// our machine's own; theirs may listen anywhere.
class Network {
 public:
  explicit Network(World& world);
  ~Network();

  // --- For tests ---
  void set_reach(const io::SocketAddress& address, Reach reach);
  /// Nothing gets to or from connections to `address` (and none is made: as a black hole) until
  /// heal().
  void cut(const io::SocketAddress& address);
  void heal(const io::SocketAddress& address);
  /// Resets the connections to `address` there are.
  void break_connections(const io::SocketAddress& address);
  io::Duration latency_max = std::chrono::milliseconds(20);
  /// Connections that were asked for, made or not.
  uint64_t connects(const io::SocketAddress& address) const;
  Datagrams& datagrams() { return datagrams_; }

  /// A place in the stream that a socket sends; tells whether the application at the other end was
  /// given all before it.
  class ReadMark;
  ReadMark mark(const SimulatedProactor& proactor, io::Socket socket, uint64_t octets_sent) const;
  /// When the application at the other end sent the last of the first `octets` octets that came
  /// from it.
  io::Instant sent_at(const SimulatedProactor& proactor, io::Socket socket, uint64_t octets) const;
  /// Has the application at the other end neither closed nor lost the connection?
  bool is_peer_open(const SimulatedProactor& proactor, io::Socket socket) const;

  // --- For Datagrams ---
  Reach reach(const io::SocketAddress& address) const;
  bool is_cut(const io::SocketAddress& address) const { return cut_.contains(address.text()); }
  /// One way to or from `remote`.
  io::Duration draw_latency(const io::SocketAddress& remote);

  // --- For SimulatedProactor: the operations take effect; `id` is whom to complete ---
  void connect(SimulatedProactor& proactor, uint64_t id, io::Connect& op);
  void listen(SimulatedProactor& proactor, uint64_t id, io::Listen& op);
  void accept(SimulatedProactor& proactor, uint64_t id, io::Accept& op);
  void receive(SimulatedProactor& proactor, uint64_t id, io::Receive& op);
  void send(SimulatedProactor& proactor, uint64_t id, io::Send& op);
  void close(SimulatedProactor& proactor, uint64_t id, io::CloseSocket& op);
  /// Ends what waits here; its -ECANCELED is the proactor's to give.
  void forget(SimulatedProactor& proactor, uint64_t id, io::Op& op);
  /// The proactor's process died (its kernel closes) or its machine lost power (silence).
  void end(SimulatedProactor& proactor, bool power_lost);

 private:
  struct Connection;
  struct Listener;
  using ConnectionPointer = std::shared_ptr<Connection>;
  struct Entry {
    ConnectionPointer connection;
    int side = 0;
    std::shared_ptr<Listener> listener;
    Datagrams::SocketPointer datagrams;
  };
  using Key = std::pair<uint32_t, int32_t>;  // proactor, socket

  Entry* find(const SimulatedProactor& proactor, io::Socket socket);
  io::Socket add(SimulatedProactor& proactor, Entry entry);
  unsigned count(const SimulatedProactor& proactor) const;
  int32_t choose_local(SimulatedProactor& proactor, io::Connect& op);
  Reach draw_reach(SimulatedProactor& proactor, const io::SocketAddress& remote);
  void establish(SimulatedProactor& proactor, uint64_t id, io::Instant give_up);
  void draw_connection_fault(const ConnectionPointer& connection);
  void offer(Listener& listener);
  void pump(const ConnectionPointer& connection, int side);
  void transmit(const ConnectionPointer& connection, int side, char kind, std::string bytes);
  void arrive(const ConnectionPointer& connection, int side);
  void feed(const ConnectionPointer& connection, int side);
  void fail(const ConnectionPointer& connection, int side, int error);
  void leave(const ConnectionPointer& connection, int side);

  World& world_;
  Datagrams datagrams_;
  std::map<Key, Entry> sockets_;
  std::multimap<std::string, std::shared_ptr<Listener>> listeners_;
  std::map<std::string, Reach> reach_;
  std::map<std::string, uint64_t> connects_;
  std::map<std::string, std::vector<std::function<void()>>> cut_;  // with what waits for heal()
  int32_t next_socket_ = 0;
  uint16_t next_port_ = 20000;
  uint64_t connections_made_ = 0;
};

class Network::ReadMark {
 public:
  ReadMark() = default;
  bool is_read() const;

 private:
  friend class Network;
  ConnectionPointer connection_;
  int side_ = 0;
  uint64_t octets_ = 0;
};

}  // namespace sluice::sim
