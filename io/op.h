#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::io {

class Proactor;

/// A socket of one Proactor: an index into its table (a direct descriptor of the ring), meaningless
/// to any other Proactor.
struct Socket {
  int32_t index = -1;
  bool is_open() const { return index >= 0; }
};

/// An open file or directory; usable by every Proactor of the process.
struct File {
  int32_t descriptor = -1;
  bool is_open() const { return descriptor >= 0; }
};

/// What an operation came to. `result` is >= 0, or a negated errno; what a value >= 0 means is said
/// at each operation.
struct Completion {
  int32_t result = 0;
  bool more = false;  // multishot: further completions follow, the operation is still in flight
  std::span<const std::byte> bytes = {};  // Receive only: valid during the callback
};

enum class OpKind : uint8_t {
  connect,
  listen,
  accept,
  receive,
  send,
  close_socket,
  open,
  close_file,
  read,
  write,
  datasync,
  sync_directory,
  truncate,
  allocate,
  lock,
  make_directory,
  rename,
  unlink,
  list_directory,
  stat,
  watch_directory,
  signals,
};

/// One operation, owned by whoever submits it, which must keep it and the memory it names alive
/// until its last completion
/// (`more == false`): io_uring's rule. An Op is in flight from submit() to that completion, and may
/// be submitted again from within it. Move and copy are forbidden while in flight.
struct Op {
  using Callback = void (*)(void* owner, Op& op, const Completion& completion);

  explicit Op(OpKind k) : kind(k) {}

  /// Calls `(owner->*Method)(op, completion)` on each completion, `op` as the derived type that
  /// Method takes.
  template <auto Method, class Owner>
  void bind(Owner* owner_) {
    owner = owner_;
    callback = [](void* o, Op& op, const Completion& completion) {
      invoke(Method, static_cast<Owner*>(o), op, completion);
    };
  }

  OpKind kind;
  bool in_flight = false;
  bool cancelled = false;  // cancel() was called since the last submit()
  uint8_t step = 0;   // the Proactor's own while in flight, as is `held`: where an operation of
                      // several steps stands,
  int32_t held = -1;  // and a descriptor held for it
  void* owner = nullptr;
  Callback callback = nullptr;

 private:
  template <class Owner, class Derived>
  static void invoke(void (Owner::*method)(Derived&, const Completion&), Owner* owner, Op& op,
                     const Completion& completion) {
    (owner->*method)(static_cast<Derived&>(op), completion);
  }
};

// --- Network
// -------------------------------------------------------------------------------------------------------------------

/// Opens a TCP socket (TCP_NODELAY), binds it to `local` unless that is none, and connects. On
/// result 0 `socket` is open and `local` holds the address really used. On failure nothing stays
/// open: -ECONNREFUSED, -EHOSTUNREACH, -EMFILE (no slot or descriptor), ...
///
/// With `datagram` a UDP socket that speaks with `remote` alone: each Send is one datagram, several
/// may be in flight; each completion of a Receive brings one (what is beyond a buffer of the
/// Proactor's ring, 4096 octets, is lost). An empty datagram ends the Receive with 0, an ICMP error
/// with -ECONNREFUSED or the like; the socket stays good, and the Receive may be submitted again.
struct Connect : Op {
  Connect() : Op(OpKind::connect) {}
  SocketAddress remote, local;
  bool datagram = false;
  Socket socket;
};

/// Opens a listening TCP socket (SO_REUSEADDR; SO_REUSEPORT when asked for, so that each shard has
/// a queue of its own). Result 0, `socket` open and `address` with its real port.
struct Listen : Op {
  Listen() : Op(OpKind::listen) {}
  SocketAddress address;
  bool reuse_port = false;
  int backlog = 4096;
  Socket socket;
};

/// Multishot: each completion with result 0 hands over `socket` (read it in the callback). Without
/// `more`, accepting has ended: -ECANCELED, or -EMFILE and the like, and may be submitted again
/// later. With `tells_remote`, `remote` is the peer's address then; that costs a system call of the
/// ring for each connection.
struct Accept : Op {
  Accept() : Op(OpKind::accept) {}
  Socket listener;
  bool tells_remote = false;
  Socket socket;
  SocketAddress remote;
  uint32_t remote_bytes = 0;  // the Proactor's own while in flight
};

/// Multishot: each completion brings result = bytes.size() > 0 received octets in a buffer of the
/// Proactor's ring, taken back as the callback returns: an idle connection holds none. Result 0 is
/// end of stream, < 0 an error; both end the operation. A shortage of buffers is the Proactor's own
/// affair and never seen.
struct Receive : Op {
  Receive() : Op(OpKind::receive) {}
  Socket socket;
};

/// Sends all of `bytes`; result bytes.size(), or an error after an unknown part of it went out.
struct Send : Op {
  Send() : Op(OpKind::send) {}
  Socket socket;
  std::span<const std::byte> bytes;
  size_t done = 0;  // the Proactor's own while in flight
};

/// Closes; nothing else may be in flight on the socket (cancel it and wait for it first).
struct CloseSocket : Op {
  CloseSocket() : Op(OpKind::close_socket) {}
  Socket socket;
};

// --- Files. Paths are absolute or relative to the working directory.
// ----------------------------------------------------------------

struct Open : Op {
  Open() : Op(OpKind::open) {}
  std::string path;
  int flags = 0;  // open(2); O_CLOEXEC is added
  uint32_t mode = 0600;
  File file;  // on result 0
};

struct CloseFile : Op {
  CloseFile() : Op(OpKind::close_file) {}
  File file;
};

/// Reads up to bytes.size() octets at `offset`; result is the number read, short only at the end of
/// the file.
struct Read : Op {
  Read() : Op(OpKind::read) {}
  File file;
  uint64_t offset = 0;
  std::span<std::byte> bytes;
  size_t done = 0;  // the Proactor's own while in flight
};

/// Writes all of `bytes` at `offset` (`append_offset`: at the end, for files opened with O_APPEND);
/// result bytes.size(), or an error after an unknown part of it was written. Durable only after
/// Datasync; or, with `is_durable`, as it completes (RWF_DSYNC): one step of the kernel's instead
/// of two.
struct Write : Op {
  Write() : Op(OpKind::write) {}
  static constexpr uint64_t append_offset = UINT64_MAX;
  File file;
  uint64_t offset = 0;
  std::span<const std::byte> bytes;
  bool is_durable = false;
  size_t done = 0;  // the Proactor's own while in flight
};

/// All that was written to `file` before submit() is on disk when this completes with 0
/// (fdatasync).
struct Datasync : Op {
  Datasync() : Op(OpKind::datasync) {}
  File file;
};

/// The entries of the directory (created, renamed, removed before submit()) are on disk when this
/// completes with 0.
struct SyncDirectory : Op {
  SyncDirectory() : Op(OpKind::sync_directory) {}
  std::string path;
};

struct Truncate : Op {
  Truncate() : Op(OpKind::truncate) {}
  File file;
  uint64_t size = 0;
};

/// Reserves disk for [offset, offset + length) without changing the file's size (fallocate,
/// FALLOC_FL_KEEP_SIZE): later writes there cannot fail for want of space. -EOPNOTSUPP where the
/// file system cannot.
struct Allocate : Op {
  Allocate() : Op(OpKind::allocate) {}
  File file;
  uint64_t offset = 0, length = 0;
};

/// Takes an exclusive lock (flock) without waiting: -EWOULDBLOCK when another holds it. Goes with
/// the file's last descriptor.
struct Lock : Op {
  Lock() : Op(OpKind::lock) {}
  File file;
};

struct MakeDirectory : Op {
  MakeDirectory() : Op(OpKind::make_directory) {}
  std::string path;
  uint32_t mode = 0700;
};

/// With `keep_existing`, -EEXIST when `to` exists (RENAME_NOREPLACE); else `to` is replaced
/// atomically. Durable after SyncDirectory.
struct Rename : Op {
  Rename() : Op(OpKind::rename) {}
  std::string from, to;
  bool keep_existing = false;
};

struct Unlink : Op {
  Unlink() : Op(OpKind::unlink) {}
  std::string path;
};

/// On result 0 `names` holds the entries but "." and "..", sorted.
struct ListDirectory : Op {
  ListDirectory() : Op(OpKind::list_directory) {}
  std::string path;
  std::vector<std::string> names;
};

struct Stat : Op {
  Stat() : Op(OpKind::stat) {}
  std::string path;
  uint64_t size = 0, bytes_on_disk = 0;
  bool is_directory = false;
};

// --- Notices
// -----------------------------------------------------------------------------------------------------------------------

/// Multishot: completes with 0 each time an entry was moved into the directory or a file written in
/// it was closed; several changes may come as one completion.
struct WatchDirectory : Op {
  WatchDirectory() : Op(OpKind::watch_directory) {}
  std::string path;
};

/// Multishot: result is the number of a signal that the process received; the signals must be
/// blocked in all threads beforehand.
struct Signals : Op {
  Signals() : Op(OpKind::signals) {}
  std::vector<int> numbers;
};

}  // namespace sluice::io
