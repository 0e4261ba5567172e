#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "io/check.h"
#include "io/uring_proactor.h"

namespace sluice::io {
namespace {

enum SyncDirectoryStep : uint8_t { opening, syncing };

constexpr size_t transfer_bytes_max = size_t{1} << 30;  // read(2) and write(2) move at most 2 GiB

int32_t list(ListDirectory& op) {
  op.names.clear();
  DIR* directory = opendir(op.path.c_str());
  if (!directory) return -errno;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") op.names.emplace_back(name);
  }
  const int error = errno;
  closedir(directory);
  std::ranges::sort(op.names);
  return -error;
}

/// An inotify descriptor, or a negated errno.
int watch(const WatchDirectory& op) {
  const int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (descriptor < 0) return -errno;
  if (inotify_add_watch(descriptor, op.path.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) >=
      0)
    return descriptor;
  const int error = errno;
  close(descriptor);
  return -error;
}

int open_signals(const Signals& op) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : op.numbers) sigaddset(&set, number);
  const int descriptor = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

}  // namespace

bool UringProactor::start_file(Op& op) {
  switch (op.kind) {
    case OpKind::read:  post(static_cast<Read&>(op)); return true;
    case OpKind::write: post(static_cast<Write&>(op)); return true;
    case OpKind::stat:  post_stat(static_cast<Stat&>(op)); return true;
    case OpKind::watch_directory:
      start_notices(op, watch(static_cast<WatchDirectory&>(op)));
      return true;
    case OpKind::signals:  start_notices(op, open_signals(static_cast<Signals&>(op))); return true;
    case OpKind::truncate: {
      const auto& truncate = static_cast<Truncate&>(op);
      const int result = ftruncate(truncate.file.descriptor, static_cast<off_t>(truncate.size));
      finish_later(op, result == 0 ? 0 : -errno);
      return true;
    }
    case OpKind::lock: {
      const int result = flock(static_cast<Lock&>(op).file.descriptor, LOCK_EX | LOCK_NB);
      finish_later(op, result == 0 ? 0 : -errno);
      return true;
    }
    case OpKind::list_directory:
      finish_later(op, list(static_cast<ListDirectory&>(op)));
      return true;
    default: return post_simple(op);
  }
}

/// The operations that are one submission.
bool UringProactor::post_simple(Op& op) {
  io_uring_sqe& sqe = next_sqe();
  switch (op.kind) {
    case OpKind::open: {
      auto& open = static_cast<Open&>(op);
      open.file = {};
      io_uring_prep_openat(&sqe, AT_FDCWD, open.path.c_str(), open.flags | O_CLOEXEC, open.mode);
      break;
    }
    case OpKind::close_file:
      io_uring_prep_close(&sqe, static_cast<CloseFile&>(op).file.descriptor);
      break;
    case OpKind::datasync:
      io_uring_prep_fsync(&sqe, static_cast<Datasync&>(op).file.descriptor, IORING_FSYNC_DATASYNC);
      break;
    case OpKind::sync_directory:
      op.step = opening;
      io_uring_prep_openat(&sqe, AT_FDCWD, static_cast<SyncDirectory&>(op).path.c_str(),
                           O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
      break;
    case OpKind::allocate: {
      const auto& allocate = static_cast<Allocate&>(op);
      io_uring_prep_fallocate(&sqe, allocate.file.descriptor, FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(allocate.offset),
                              static_cast<off_t>(allocate.length));
      break;
    }
    case OpKind::make_directory: {
      const auto& make = static_cast<MakeDirectory&>(op);
      io_uring_prep_mkdirat(&sqe, AT_FDCWD, make.path.c_str(), make.mode);
      break;
    }
    case OpKind::rename: {
      const auto& rename = static_cast<Rename&>(op);
      io_uring_prep_renameat(&sqe, AT_FDCWD, rename.from.c_str(), AT_FDCWD, rename.to.c_str(),
                             rename.keep_existing ? RENAME_NOREPLACE : 0);
      break;
    }
    case OpKind::unlink:
      io_uring_prep_unlinkat(&sqe, AT_FDCWD, static_cast<Unlink&>(op).path.c_str(), 0);
      break;
    default: return false;
  }
  set_op(sqe, op);
  return true;
}

bool UringProactor::file_continues(Op& op, int32_t result, uint32_t flags) {
  switch (op.kind) {
    case OpKind::read:  transfer_continues(static_cast<Read&>(op), result); return true;
    case OpKind::write: transfer_continues(static_cast<Write&>(op), result); return true;
    case OpKind::sync_directory:
      sync_directory_continues(static_cast<SyncDirectory&>(op), result);
      return true;
    case OpKind::watch_directory:
    case OpKind::signals:         notices_continue(op, result, flags); return true;
    case OpKind::stat:            stat_continues(static_cast<Stat&>(op), result); return true;
    case OpKind::open:
      if (result >= 0) static_cast<Open&>(op).file.descriptor = result;
      finish(op, std::min(result, 0));
      return true;
    case OpKind::close_file:
    case OpKind::datasync:
    case OpKind::allocate:
    case OpKind::make_directory:
    case OpKind::rename:
    case OpKind::unlink:         finish(op, result); return true;
    default:                     return false;
  }
}

void UringProactor::post(Read& op) {
  if (op.step == 0) op.step = 1, op.done = 0;
  const auto rest = op.bytes.subspan(op.done);
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_read(&sqe, op.file.descriptor, rest.data(),
                     static_cast<unsigned>(std::min(rest.size(), transfer_bytes_max)),
                     op.offset + op.done);
  set_op(sqe, op);
}

void UringProactor::post(Write& op) {
  if (op.step == 0) op.step = 1, op.done = 0;
  const auto rest = op.bytes.subspan(op.done);
  io_uring_sqe& sqe = next_sqe();
  // Offset -1 means the file's own position, which O_APPEND moves to the end.
  const uint64_t offset = op.offset == Write::append_offset ? op.offset : op.offset + op.done;
  io_uring_prep_write(&sqe, op.file.descriptor, rest.data(),
                      static_cast<unsigned>(std::min(rest.size(), transfer_bytes_max)), offset);
  if (op.is_durable) sqe.rw_flags = RWF_DSYNC;
  set_op(sqe, op);
}

template <class Transfer>
void UringProactor::transfer_continues(Transfer& op, int32_t result) {
  if (result == -EINTR || result == -EAGAIN)
    return op.cancelled ? finish(op, -ECANCELED) : post(op);
  if (result < 0) return finish(op, result);
  op.done += static_cast<size_t>(result);
  const bool is_whole = op.done == op.bytes.size();
  if (op.kind == OpKind::write && result == 0 && !is_whole) return finish(op, -EIO);
  if (is_whole || result == 0) return finish(op, static_cast<int32_t>(op.done));
  if (op.cancelled) return finish(op, -ECANCELED);
  post(op);
}

void UringProactor::sync_directory_continues(SyncDirectory& op, int32_t result) {
  if (op.step == syncing) {
    close(op.held);
    return finish(op, result);
  }
  if (result < 0) return finish(op, result);
  op.held = result;
  op.step = syncing;
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_fsync(&sqe, op.held, 0);
  set_op(sqe, op);
}

void UringProactor::post_stat(Stat& op) {
  auto& answer = stats_[&op];
  answer = std::make_unique<struct statx>();
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_statx(&sqe, AT_FDCWD, op.path.c_str(), 0, STATX_TYPE | STATX_SIZE | STATX_BLOCKS,
                      answer.get());
  set_op(sqe, op);
}

void UringProactor::stat_continues(Stat& op, int32_t result) {
  const auto answer = stats_.extract(&op);
  const struct statx& attributes = *answer.mapped();
  if (result == 0) {
    op.size = attributes.stx_size;
    op.bytes_on_disk = attributes.stx_blocks * 512;  // whatever the file system's block (statx(2))
    op.is_directory = S_ISDIR(attributes.stx_mode);
  }
  finish(op, result);
}

void UringProactor::start_notices(Op& op, int descriptor) {
  if (descriptor < 0) return finish_later(op, descriptor);
  op.held = descriptor;
  post_notices(op);
}

void UringProactor::post_notices(Op& op) {
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_poll_multishot(&sqe, op.held, POLLIN);
  set_op(sqe, op);
}

void UringProactor::notices_continue(Op& op, int32_t result, uint32_t flags) {
  if (result >= 0) {
    if (op.kind == OpKind::signals)
      signals_came(static_cast<Signals&>(op));
    else
      directory_changed(static_cast<WatchDirectory&>(op));
  }
  if (flags & IORING_CQE_F_MORE) return;
  if (result >= 0 && !op.cancelled) return post_notices(op);
  close(op.held);
  finish(op, result < 0 ? result : -ECANCELED);
}

void UringProactor::directory_changed(WatchDirectory& op) {
  alignas(inotify_event) char events[4096];
  bool changed = false;
  while (read(op.held, events, sizeof events) > 0) changed = true;
  if (changed && !op.cancelled) report(op, {.result = 0, .more = true});
}

void UringProactor::signals_came(Signals& op) {
  signalfd_siginfo signal{};
  while (!op.cancelled && read(op.held, &signal, sizeof signal) == sizeof signal)
    report(op, {.result = static_cast<int32_t>(signal.ssi_signo), .more = true});
}

}  // namespace sluice::io
