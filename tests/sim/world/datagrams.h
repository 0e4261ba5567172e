#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "io/op.h"

namespace sluice::sim {

class SimulatedProactor;
class World;

/// UDP between sockets of the world's proactors and services of the test: each datagram on its own
/// way, so they overtake each other; none is doubled. What the test does to an address (set_reach,
/// cut) holds here, too: refused and unreachable answer with an ICMP error.
class Datagrams {
 public:
  using Service = std::function<void(const io::SocketAddress& from, std::string octets)>;

  explicit Datagrams(World& world) : world_(world) {}

  // --- For tests ---
  /// What comes to `address` is given to `service`; an empty one ends it.
  void serve(const io::SocketAddress& address, Service service);
  /// A datagram of a service.
  void send(const io::SocketAddress& from, const io::SocketAddress& to, std::string octets);

  // --- For Network ---
  struct Socket {
    io::SocketAddress local, remote;
    SimulatedProactor* owner = nullptr;  // nullptr: closed
    uint64_t receive_id = 0;             // waits; 0: none
    std::deque<std::string> incoming;
    int error = 0;  // told by the next operation
  };
  using SocketPointer = std::shared_ptr<Socket>;

  bool is_taken(const io::SocketAddress& local) const;
  SocketPointer open(SimulatedProactor& proactor, const io::Connect& op);
  void receive(const SocketPointer& socket, uint64_t id);
  void send(const SocketPointer& socket, uint64_t id, const io::Send& op);
  void close(const SocketPointer& socket);

 private:
  void travel(const io::SocketAddress& from, const io::SocketAddress& to, std::string octets);
  void arrive(const io::SocketAddress& from, const io::SocketAddress& to, std::string octets);
  void report_error(const io::SocketAddress& from, const io::SocketAddress& to, int error);
  Socket* find(const io::SocketAddress& local, const io::SocketAddress& remote);
  static void feed(Socket& socket);

  World& world_;
  std::map<std::string, Service> services_;
  std::map<std::string, SocketPointer> sockets_;  // by local address
};

}  // namespace sluice::sim
