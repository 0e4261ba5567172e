#pragma once

#include "io/clock.h"
#include "io/op.h"

namespace sluice::io {

/// The only door to the world: sockets, files, time, randomness. One thread owns a Proactor and
/// makes all calls but wake(). `Uring` is the real one; `sim::SimulatedProactor` (tests/sim/world)
/// its twin; tests/contract holds both to what is said here.
class Proactor {
 public:
  virtual ~Proactor() = default;

  /// Starts `op`. Never fails and never calls back from within: errors arrive as completions, from
  /// wait(). Operations on one file or socket are not ordered among each other unless one is
  /// submitted after the other completed.
  virtual void submit(Op& op) = 0;

  /// Asks that `op`, which is in flight, end soon. It still completes, once, with -ECANCELED or
  /// with what it came to first. This is the only way to end a Receive, an Accept or a Connect
  /// early.
  virtual void cancel(Op& op) = 0;

  /// Hands what was submitted to the kernel, waits until a completion is there, `until` has come or
  /// wake() was called, reads the clocks, then runs the callbacks of at most `budget` completions
  /// and returns their number. `until` <= now(): does not wait.
  virtual unsigned wait(Instant until, unsigned budget) = 0;

  /// The clocks as the last wait() read them.
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
  /// The monotonic clock read now: how long a turn's work has taken so far. Where time stands still
  /// within a turn it is now().
  virtual Instant clock() const { return now(); }

  /// 64 random bits, unpredictable to a peer (in the simulated world: from the seed).
  virtual uint64_t random() = 0;

  /// Makes the wait() of this Proactor's thread return soon. Called by the thread of `from`,
  /// another Proactor of the same kind (ring message). What was to be told lies in a Mailbox.
  virtual void wake(Proactor& from) = 0;

  /// Operations submitted and not yet completed for the last time.
  virtual unsigned in_flight() const = 0;
};

/// Submits `op` and turns `proactor` until it has completed (other operations' callbacks run
/// meanwhile); returns its result. Start-up, the submitting process and tests only: a shard never
/// blocks. The op's own callback is replaced.
int32_t run(Proactor& proactor, Op& op);

}  // namespace sluice::io
