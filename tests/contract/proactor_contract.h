#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "io/proactor.h"

namespace sluice::io::contract {

/// One machine with one or more Proactors on it: they reach each other over loopback and share its
/// disk. All belong to the calling thread.
class ProactorWorld {
 public:
  virtual ~ProactorWorld() = default;

  virtual Proactor& proactor(size_t index) = 0;

  /// Turns all Proactors (their callbacks run) until `condition` holds or `limit` of the world's
  /// time has passed. Returns whether it holds. The condition is looked at before the first turn,
  /// too.
  virtual bool advance_until(const std::function<bool()>& condition, Duration limit) = 0;

  /// An absolute path of a directory that was empty when the world was made.
  virtual std::string scratch() = 0;

  /// An address that answers nothing: a Connect to it stays in flight until it is cancelled.
  virtual SocketAddress black_hole() = 0;

  /// A file that opens O_WRONLY and on which each write fails with ENOSPC.
  virtual std::string full_file() = 0;

  /// An existing directory that this process may neither read nor change (EACCES), from here to the
  /// world's end. To be called last in a test: it may take rights from the process.
  virtual std::string forbidden_directory() = 0;
};

/// What the suite is run on. Each implementation instantiates the suite in a file of its own:
///
///     INSTANTIATE_TEST_SUITE_P(Simulated, ProactorContract, testing::Values(WorldKind{"simulated",
///     make_world}));
struct WorldKind {
  const char* name;
  std::unique_ptr<ProactorWorld> (*make)(unsigned proactors);

  friend std::ostream& operator<<(std::ostream& out, const WorldKind& kind) {
    return out << kind.name;
  }
};

/// What io/proactor.h and io/op.h promise, as tests (turns_, network_ and files_contract.cc).
/// Besides what is written there, both kinds of world keep to these properties of TCP and of Linux:
/// - closing a socket that holds octets not yet received resets the connection: its peer's Receive
/// ends with -ECONNRESET;
///   otherwise a close is the end of the stream, seen after all octets sent before it;
/// - a Send to a peer that does not receive stays in flight once the buffers on the way (some MiB
/// at most) are full;
/// - connecting to a port of 127.0.0.1 that nobody listens on is -ECONNREFUSED, at once;
/// - connecting from an address that is not this machine's is -EADDRNOTAVAIL; all of 127.0.0.0/8
/// is;
/// - a Listen with port 0 gets a free port; listening twice on one address is -EADDRINUSE, unless
/// both ask for reuse_port.
class ProactorContract : public testing::TestWithParam<WorldKind> {};

}  // namespace sluice::io::contract
