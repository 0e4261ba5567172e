#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "io/check.h"
#include "tests/contract/proactor_contract.h"

namespace sluice::io::contract {

using namespace std::chrono_literals;

/// Long enough for whatever is to happen; a test that gets here fails.
inline constexpr Duration patience = 20s;

/// An operation with the record of what it came to.
template <class Kind>
struct Recorded {
  Recorded() { op.template bind<&Recorded::completed>(this); }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

  void completed(Kind&, const Completion& completion) {
    CHECK(op.in_flight == completion.more);
    ++completions;
    if (completion.more)
      results.push_back(completion.result);
    else
      end = completion.result;
    if (completion.result > 0 && op.kind == OpKind::receive) {
      CHECK(completion.bytes.size() == static_cast<size_t>(completion.result));
      bytes.append(reinterpret_cast<const char*>(completion.bytes.data()), completion.bytes.size());
    }
    if constexpr (std::is_same_v<Kind, Accept>)
      if (completion.result == 0) sockets.push_back(op.socket);
  }

  Kind op;
  unsigned completions = 0;
  std::vector<int32_t> results;  // of the completions with more to follow
  std::optional<int32_t> end;    // of the last one
  std::string bytes;             // Receive only
  std::vector<Socket> sockets;   // Accept only
};

/// A world with the words the tests are written in.
class Machine {
 public:
  explicit Machine(const WorldKind& kind, unsigned proactors = 1) : world_(kind.make(proactors)) {}

  ProactorWorld& world() { return *world_; }
  Proactor& operator[](size_t index) { return world_->proactor(index); }
  std::string path(const std::string& name) { return world_->scratch() + "/" + name; }

  bool until(const std::function<bool()>& condition, Duration limit = patience) {
    return world_->advance_until(condition, limit);
  }
  /// Lets the world go on for `time`.
  void pass(Duration time) {
    world_->advance_until([] { return false; }, time);
  }

  template <class Kind>
  int32_t run(Kind& op, size_t index = 0) {
    Recorded<Kind> outcome;
    op.owner = &outcome;
    op.callback = [](void* owner, Op&, const Completion& completion) {
      if (!completion.more) static_cast<Recorded<Kind>*>(owner)->end = completion.result;
    };
    (*this)[index].submit(op);
    CHECK(until([&] { return outcome.end.has_value(); }));
    return *outcome.end;
  }

  Listen listen(size_t index = 0) {
    Listen op;
    op.address = *SocketAddress::parse("127.0.0.1:0");
    CHECK(run(op, index) == 0 && op.socket.is_open() && op.address.port() != 0);
    return op;
  }

  /// Both ends of a new connection to `listen`: [0] the connecting one.
  std::array<Socket, 2> connect(const Listen& listen, size_t client = 0, size_t server = 0) {
    Recorded<Accept> accept;
    accept.op.listener = listen.socket;
    (*this)[server].submit(accept.op);
    Connect connect;
    connect.remote = listen.address;
    CHECK(run(connect, client) == 0);
    CHECK(until([&] { return !accept.sockets.empty(); }));
    stop(accept, server);
    return {connect.socket, accept.sockets.at(0)};
  }

  template <class Kind>
  void stop(Recorded<Kind>& recorded, size_t index = 0) {
    if (!recorded.op.in_flight) return;
    (*this)[index].cancel(recorded.op);
    CHECK(until([&] { return recorded.end.has_value(); }));
  }

  int32_t close(Socket socket, size_t index = 0) {
    CloseSocket op;
    op.socket = socket;
    return run(op, index);
  }

  int32_t send(Socket socket, std::string_view text, size_t index = 0) {
    Send op;
    op.socket = socket;
    op.bytes = std::as_bytes(std::span(text));
    return run(op, index);
  }

  File open(const std::string& path, int flags) {
    Open op;
    op.path = path;
    op.flags = flags;
    CHECK(run(op) == 0 && op.file.is_open());
    return op.file;
  }

  int32_t close(File file) {
    CloseFile op;
    op.file = file;
    return run(op);
  }

  int32_t write(File file, std::string_view text, uint64_t offset) {
    Write op;
    op.file = file;
    op.bytes = std::as_bytes(std::span(text));
    op.offset = offset;
    return run(op);
  }

  /// What a Read of `size` octets brings.
  std::string read(File file, uint64_t offset, size_t size) {
    std::string text(size, '\0');
    Read op;
    op.file = file;
    op.offset = offset;
    op.bytes = std::as_writable_bytes(std::span(text));
    const int32_t result = run(op);
    CHECK(result >= 0);
    text.resize(static_cast<size_t>(result));
    return text;
  }

 private:
  std::unique_ptr<ProactorWorld> world_;
};

/// Octets in which a missing, doubled or swapped part shows.
inline std::string pattern(size_t size) {
  std::string text(size, '\0');
  uint64_t state = 1;
  for (char& c : text) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(state >> 56);
  }
  return text;
}

}  // namespace sluice::io::contract
