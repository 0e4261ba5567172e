#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "io/check.h"
#include "io/uring_proactor.h"

namespace sluice::io {
namespace {

enum ConnectStep : uint8_t { connecting, placing };

constexpr size_t send_bytes_max = size_t{1} << 30;  // a submission's length has 32 bits

int set_option(int descriptor, int level, int option) {
  const int on = 1;
  return setsockopt(descriptor, level, option, &on, sizeof on) == 0 ? 0 : -errno;
}

/// What a burst of answers needs; the kernel gives at most net.core.rmem_max.
constexpr int datagram_buffer_bytes = 1 << 20;

/// An ordinary descriptor of a UDP socket, or a negated errno.
int open_udp(int family) {
  const int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
  if (descriptor < 0) return -errno;
  const int bytes = datagram_buffer_bytes;
  (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  return descriptor;
}

/// An ordinary descriptor of a TCP socket, or a negated errno.
int open_tcp(int family) {
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (descriptor < 0) return -errno;
  if (const int result = set_option(descriptor, IPPROTO_TCP, TCP_NODELAY); result < 0) {
    close(descriptor);
    return result;
  }
  return descriptor;
}

int bind_to(int descriptor, const SocketAddress& local) {
  return bind(descriptor, local.data(), local.size()) == 0 ? 0 : -errno;
}

int bind_before_connect(int descriptor, const SocketAddress& local, bool datagram) {
  if (local.is_none()) return 0;
  // A UDP port that two sockets may bind to is one whose datagrams go to either.
  if (datagram) return bind_to(descriptor, local);
  // With port 0 the port is chosen by connect(), which knows the remote: else each local address
  // had 28,000 in all.
  const int result = local.port() == 0 ? set_option(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT)
                                       : set_option(descriptor, SOL_SOCKET, SO_REUSEADDR);
  return result < 0 ? result : bind_to(descriptor, local);
}

int listen_on(int descriptor, const Listen& op) {
  int result = set_option(descriptor, SOL_SOCKET, SO_REUSEADDR);
  if (result == 0 && op.reuse_port) result = set_option(descriptor, SOL_SOCKET, SO_REUSEPORT);
  if (result == 0) result = bind_to(descriptor, op.address);
  if (result == 0 && listen(descriptor, op.backlog) != 0) result = -errno;
  return result;
}

SocketAddress local_address(int descriptor) {
  SocketAddress address;
  socklen_t size = SocketAddress::capacity();
  CHECK(getsockname(descriptor, address.data(), &size) == 0);
  return address;
}

/// accept(2): errors of the connection that was to be accepted, not of the listener.
bool concerns_the_peer(int error) {
  switch (error) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
    case EAGAIN:
    case EINTR:        return true;
    default:           return false;
  }
}

}  // namespace

void UringProactor::start_connect(Connect& op) {
  op.socket = {};
  op.held = op.datagram ? open_udp(op.remote.family()) : open_tcp(op.remote.family());
  if (op.held < 0) return finish_later(op, op.held);
  if (const int result = bind_before_connect(op.held, op.local, op.datagram); result < 0) {
    close(op.held);
    return finish_later(op, result);
  }
  op.step = connecting;
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_connect(&sqe, op.held, op.remote.data(), op.remote.size());
  set_op(sqe, op);
}

void UringProactor::connect_continues(Connect& op, int32_t result) {
  if (op.step == placing) return placed(op, op.socket, result);
  if (result < 0) {
    close(op.held);
    return finish(op, result);
  }
  op.local = local_address(op.held);
  op.step = placing;
  place(op, op.socket);
}

void UringProactor::start_listen(Listen& op) {
  op.socket = {};
  op.held = open_tcp(op.address.family());
  if (op.held < 0) return finish_later(op, op.held);
  if (const int result = listen_on(op.held, op); result < 0) {
    close(op.held);
    return finish_later(op, result);
  }
  op.address = local_address(op.held);
  place(op, op.socket);
}

/// Puts the socket behind op.held into the ring's table. The kernel chooses the slot and writes its
/// index over the descriptor.
void UringProactor::place(Op& op, Socket& socket) {
  socket.index = op.held;
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_files_update(&sqe, &socket.index, 1, static_cast<int>(IORING_FILE_INDEX_ALLOC));
  set_op(sqe, op);
}

void UringProactor::placed(Op& op, Socket& socket, int32_t result) {
  close(op.held);
  if (result == 1) return finish(op, 0);
  socket = {};
  // ENFILE, or "none were placed": the table is full.
  finish(op, result == 0 || result == -ENFILE ? -EMFILE : result);
}

void UringProactor::post(Accept& op) {
  io_uring_sqe& sqe = next_sqe();
  if (op.tells_remote) {
    op.remote_bytes = SocketAddress::capacity();
    io_uring_prep_accept(&sqe, op.listener.index, op.remote.data(), &op.remote_bytes, 0);
    sqe.file_index = IORING_FILE_INDEX_ALLOC;  // liburing 2.3's helper gets this one wrong
  } else {
    io_uring_prep_multishot_accept_direct(&sqe, op.listener.index, nullptr, nullptr, 0);
  }
  sqe.flags |= IOSQE_FIXED_FILE;
  set_op(sqe, op);
}

void UringProactor::accept_continues(Accept& op, int32_t result, uint32_t flags) {
  if (result >= 0) {
    op.socket.index = result;
    report(op, {.result = 0, .more = true});
    return keep_going(op, flags);
  }
  if (flags & IORING_CQE_F_MORE) return;
  op.socket = {};
  if (concerns_the_peer(-result)) return keep_going(op, flags);
  finish(op, result == -ENFILE ? -EMFILE : result);
}

void UringProactor::post(Receive& op) {
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_recv_multishot(&sqe, op.socket.index, nullptr, 0, 0);
  sqe.flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
  sqe.buf_group = buffers_.group();
  set_op(sqe, op);
}

void UringProactor::receive_continues(Receive& op, int32_t result, uint32_t flags) {
  if (result > 0) {
    CHECK(flags & IORING_CQE_F_BUFFER);
    const auto id = static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    report(
        op,
        {.result = result, .more = true, .bytes = buffers_.bytes(id, static_cast<size_t>(result))});
    buffers_.give_back(id);
    return keep_going(op, flags);
  }
  if (flags & IORING_CQE_F_BUFFER)
    buffers_.give_back(static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT));
  if (flags & IORING_CQE_F_MORE) return;
  // All buffers were in completions before this one, and have been given back by now.
  if (result == -ENOBUFS || result == -EINTR || result == -EAGAIN) return keep_going(op, flags);
  finish(op, result);
}

void UringProactor::post(Send& op) {
  if (op.step == 0) op.step = 1, op.done = 0;
  if (op.bytes.empty()) return finish_later(op, 0);
  const auto rest = op.bytes.subspan(op.done);
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_send(&sqe, op.socket.index, rest.data(), std::min(rest.size(), send_bytes_max),
                     MSG_WAITALL | MSG_NOSIGNAL);
  sqe.flags |= IOSQE_FIXED_FILE;
  set_op(sqe, op);
}

void UringProactor::send_continues(Send& op, int32_t result) {
  if (result > 0) op.done += static_cast<size_t>(result);
  if (op.done == op.bytes.size()) return finish(op, static_cast<int32_t>(op.bytes.size()));
  if (result < 0 && result != -EINTR && result != -EAGAIN) return finish(op, result);
  if (op.cancelled) return finish(op, -ECANCELED);
  post(op);
}

void UringProactor::post(CloseSocket& op) {
  if (shuts_down_before_close_) {
    if (io_uring_sq_space_left(&ring_) < 2)
      io_uring_submit(&ring_);  // a link does not cross a submission
    io_uring_sqe& sqe = next_sqe();
    io_uring_prep_shutdown(&sqe, op.socket.index, SHUT_RDWR);
    sqe.flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
    sqe.user_data = tag_unheeded;
  }
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_close_direct(&sqe, static_cast<unsigned>(op.socket.index));
  set_op(sqe, op);
}

}  // namespace sluice::io
