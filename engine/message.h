#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/mailing.h"
#include "io/clock.h"
#include "spool/waits.h"

namespace sluice::engine {

namespace intake {
struct SmtpListener;
}

namespace dkim {
class Keyring;
}

namespace queue {
struct EarlierRun;
struct Routing;
}  // namespace queue

/// A recipient that comes back to its queue: deferred, or lent and not tried (due at once).
struct Returned {
  MailingPtr mailing;
  Item item;
  /// An earlier run ended before it read what became of the final dot, and it is not sent again.
  bool is_doubtful = false;
  bool is_held_in_doubt = false;  // until released: whether it arrived is unknown
  io::Instant due{};
  SetbackPtr why;  // deferred only: what the last attempt came to
};

/// What those of a campaign waited for who go by one route and were not tried by themselves.
struct Waited {
  uint32_t one = 0;       // of these recipients, to name them
  uint16_t attempts = 0;  // that count for each of them
  uint16_t refusals = 0;  // connections in a row that came to nothing; 0: the last one was taken
  io::WallTime at{};      // the last connection
  io::WallTime until{};   // the next
};

/// A route's hosts as its home sees them. A session tries all of them before it gives up, those
/// that failed lately (`suspects`) last.
struct HostPlan {
  dns::HostListPtr list;
  std::shared_ptr<const std::vector<bool>> suspects;  // by index in the list; null: none
  std::optional<uint16_t> probe;  // the next session begins with this one: has it come back?
};

/// What became of a connection to one of several hosts.
struct HostNews {
  io::SocketAddress address;
  bool opened = false;
};

/// [first, first + count) of a campaign's recipients.
struct Range {
  uint32_t first = 0, count = 0;
  friend bool operator==(const Range&, const Range&) = default;
};

/// What operators said of a campaign's recipients: absolute, it replaces what was said before.
struct Orders {
  std::vector<Range> held, cancelled;  // ascending
  bool is_empty() const { return held.empty() && cancelled.empty(); }
};

// Coordinator -> home: these recipients of a campaign go by this route. Also home -> home: since
// the configuration was read anew, as `routing` has it.
struct AddSource {
  const Route* route = nullptr;
  MailingPtr mailing;
  std::vector<Range> ranges;                         // ascending
  std::shared_ptr<const queue::EarlierRun> earlier;  // of the whole campaign; null: all are new
  spool::Waits waits;                                // of those who go by this route
  bool is_retried = false;                           // an operator said so since the latest of them
  std::shared_ptr<const queue::Routing> routing;
  std::vector<Returned> returned;  // from another home: known by themselves
  Orders orders;
};

// Coordinator -> home: other orders for a campaign. `due`: these are to be tried now, also where
// it is in doubt whether they arrived when they were `released`.
struct Steer {
  const Route* route = nullptr;
  MailingPtr mailing;
  Orders orders;
  std::vector<Range> due;
  bool is_release = false;
};

// Home -> shard: give back what no session has taken.
struct Recall {
  const Route* route = nullptr;
};

// Home -> shard: how many sessions it may hold for the route now, and to which hosts.
struct Permit {
  const Route* route = nullptr;
  uint32_t sessions = 0;
  HostPlan plan;
};

// Home -> shard: nothing has waited for long; forget the route until there is mail again.
struct Forget {
  const Route* route = nullptr;
};

// Home -> shard: recipients to deliver, the answer to one Want or, not asked, to overtake others.
struct Grant {
  const Route* route = nullptr;
  std::unique_ptr<Batch> batch;
  bool is_asked = true;  // false: more urgent than what it holds
};

// Shard -> home: send me a batch, now or when there is one.
struct Want {
  const Route* route = nullptr;
  unsigned shard = 0;
};

// Shard -> home: recipients that wait again. Those that ended are not spoken of: the home forgot
// them when it lent them.
struct GiveBack {
  const Route* route = nullptr;
  std::vector<Returned> returned;
};

// Shard -> home: what became of sessions. A Permit answers it when one was refused: no session is
// opened until it comes.
struct SessionNews {
  const Route* route = nullptr;
  unsigned shard = 0;
  uint32_t opened = 0;    // greeted: the peer takes mail
  uint32_t proven = 0;    // gave a verdict on a recipient
  uint32_t refused = 0;   // ended without one, on every host
  uint32_t open_now = 0;  // greeted and not closed
  /// Grants since the last news of which it has nothing left: all it had, then.
  uint32_t grants_ended = 0;
  /// Grants of each priority since the last news of which it has nothing left.
  std::array<uint32_t, priority_count> loads_ended{};
  SetbackPtr setback;  // the last refusal
  std::vector<HostNews> hosts;
};

// Shard -> coordinator: durable outcomes since the last tally.
struct Tally {
  struct Of {
    const Mailing* mailing = nullptr;
    uint32_t delivered = 0, failed = 0, expired = 0, cancelled = 0, unreadable = 0,
             in_doubt = 0;        // fates
    uint32_t deferrals = 0;       // attempts that were deferred
    int32_t deferred_change = 0;  // in the number of recipients that were tried and wait
  };
  std::vector<Of> mailings;
  unsigned shard = 0;
  uint32_t sessions = 0;
};

// Shard -> coordinator: of its queues together, whenever it changed; see HomeQueue.
struct QueueNews {
  unsigned shard = 0;
  uint64_t held = 0, backed_off = 0;
  friend bool operator==(const QueueNews&, const QueueNews&) = default;
};

// Shard -> coordinator: letters that it took in are durable, the recipients up to `recipients` of
// a segment that it writes; nothing more comes when it is sealed.
struct Letters {
  std::shared_ptr<const spool::MailSegment> segment;
  uint32_t recipients = 0;
  bool is_sealed = false;
};

// Coordinator -> all: the campaign is over and its file says so.
struct Finished {
  uint64_t uid = 0;
};

// Coordinator -> all: end soon; shard -> coordinator when it has.
struct Stop {
  bool now = false;  // the grace time is over
};
struct Stopped {
  unsigned shard = 0;
};

// Shard -> coordinator: its journal or log cannot be written, or "": it can again.
struct StorageNews {
  unsigned shard = 0;
  std::string problem;
};

// Shard -> coordinator: one line for the operator.
struct Trouble {
  std::string text;
};

// Coordinator -> all: SIGUSR1.
struct ReopenLog {};

// Coordinator -> all: SIGHUP. What waits goes where `routing` has it; mail comes in as `listen` has
// it; messages are signed with `keys`.
struct Reload {
  std::shared_ptr<const queue::Routing> routing;
  std::shared_ptr<const std::vector<std::shared_ptr<const intake::SmtpListener>>> listen;
  std::shared_ptr<const dkim::Keyring> keys;
};

using Message = std::variant<std::monostate, AddSource, Permit, Grant, Want, GiveBack, SessionNews,
                             Tally, Finished, Stop, Stopped, StorageNews, ReopenLog, Steer, Recall,
                             Forget, QueueNews, Letters, Reload, Trouble>;

}  // namespace sluice::engine
