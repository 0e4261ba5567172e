#include "io/uring.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "io/check.h"
#include "io/uring_proactor.h"

namespace sluice::io {
namespace {

constexpr uint16_t receive_group = 0;
constexpr unsigned table_slots_min = 64;

/// The kernel bounds a ring's table of direct descriptors by the soft limit
/// (io_uring_register_files(3)).
uint64_t raise_descriptor_limit() {
  rlimit limit{};
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  }
  return limit.rlim_cur;
}

std::chrono::nanoseconds read_clock(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

unsigned socket_slots(const UringOptions& options) {
  return static_cast<unsigned>(std::min<uint64_t>(options.sockets_max, raise_descriptor_limit()));
}

std::expected<std::unique_ptr<Proactor>, UringError> open_uring(const UringOptions& options) {
  auto uring = std::make_unique<UringProactor>();
  const auto opened = uring->open(options);
  if (opened) return uring;
  const auto [step, error] = opened.error();
  return std::unexpected(
      UringError{error, uring_refusal(step, error, UringFacts::of_this_system())});
}

std::expected<void, UringProactor::Refusal> UringProactor::open(const UringOptions& options) {
  const unsigned slots = socket_slots(options);
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  parameters.cq_entries = options.entries * 4;
  if (const int result = io_uring_queue_init_params(options.entries, &ring_, &parameters);
      result < 0)
    return std::unexpected(Refusal{UringStep::ring, -result});
  is_open_ = true;

  if (slots < std::min(table_slots_min, options.sockets_max))
    return std::unexpected(Refusal{UringStep::socket_table, EMFILE});
  if (const int result = io_uring_register_files_sparse(&ring_, slots); result < 0)
    return std::unexpected(Refusal{UringStep::socket_table, -result});
  if (const int result = buffers_.open(ring_, receive_group, options.receive_buffers,
                                       options.receive_buffer_bytes);
      result < 0)
    return std::unexpected(Refusal{UringStep::receive_buffers, -result});
  shuts_down_before_close_ =
      options.shut_down_before_close || is_before(UringFacts::of_this_system().kernel, 6, 13);
  // Only spares the kernel a look-up a call; a thread with many rings runs out of places for it.
  (void)io_uring_register_ring_fd(&ring_);
  read_clocks();
  return {};
}

UringProactor::~UringProactor() {
  if (!is_open_) return;
  // The kernel must not write into an operation's memory after we are gone. Owners may be gone
  // already: no callbacks.
  if (in_flight_ > results_.size()) {
    io_uring_sync_cancel_reg everything{};
    everything.fd = -1;
    everything.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    everything.timeout = {.tv_sec = 1, .tv_nsec = 0};
    io_uring_submit(&ring_);
    io_uring_register_sync_cancel(&ring_, &everything);
  }
  io_uring_queue_exit(&ring_);
}

void UringProactor::submit(Op& op) {
  CHECK(!op.in_flight);
  op.in_flight = true;
  op.cancelled = false;
  op.step = 0;
  op.held = -1;
  ++in_flight_;
  start(op);
}

void UringProactor::cancel(Op& op) {
  CHECK(op.in_flight);
  if (op.cancelled) return;
  op.cancelled = true;
  // Submissions are taken in order, so this never hits a later submit() of the same operation.
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_cancel64(&sqe, reinterpret_cast<uintptr_t>(&op), 0);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = tag_unheeded;
}

unsigned UringProactor::wait(Instant until, unsigned budget) {
  enter(until);
  read_clocks();
  unsigned handled = 0;
  // Callbacks may add to results_; those wait for the next turn, else a chain of them would keep
  // the ring waiting.
  for (size_t left = results_.size(); left > 0 && handled < budget; --left, ++handled) {
    const Result result = results_.front();
    results_.pop_front();
    finish(*result.op, result.result);
  }
  for (Event event{}; handled < budget && next_event(event);)
    if (handle(event)) ++handled;
  return handled;
}

void UringProactor::enter(Instant until) {
  int result = 0;
  const bool is_idle = results_.empty() && taken_.empty() && io_uring_cq_ready(&ring_) == 0;
  if (!is_idle || until <= now_) {
    result = io_uring_submit_and_get_events(&ring_);
  } else if (until == never) {
    result = io_uring_submit_and_wait(&ring_, 1);
  } else {
    const auto left =
        std::max(until.time_since_epoch() - read_clock(CLOCK_MONOTONIC), Duration::zero());
    __kernel_timespec timeout{.tv_sec = left / std::chrono::seconds(1),
                              .tv_nsec = (left % std::chrono::seconds(1)).count()};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  }
  // EBUSY, EAGAIN: the kernel wants completions taken first; what was not submitted stays queued.
  CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
        result == -EAGAIN);
}

void UringProactor::read_clocks() {
  now_ = Instant(read_clock(CLOCK_MONOTONIC));
  wall_ = WallTime(read_clock(CLOCK_REALTIME));
}

Instant UringProactor::clock() const { return Instant(read_clock(CLOCK_MONOTONIC)); }

io_uring_sqe& UringProactor::next_sqe() {
  for (;;) {
    if (io_uring_sqe* sqe = io_uring_get_sqe(&ring_)) return *sqe;
    const int result = io_uring_submit(&ring_);
    CHECK(result >= 0 || result == -EINTR || result == -EBUSY || result == -EAGAIN);
    if (result <= 0) {
      take_events();
      io_uring_get_events(&ring_);
    }
  }
}

void UringProactor::take_events() {
  unsigned head = 0, count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    taken_.push_back({cqe->user_data, cqe->res, cqe->flags});
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
}

bool UringProactor::next_event(Event& event) {
  if (!taken_.empty()) {
    event = taken_.front();
    taken_.pop_front();
    return true;
  }
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    event = {cqe->user_data, cqe->res, cqe->flags};
    io_uring_cq_advance(&ring_, 1);
    return true;
  }
  return false;
}

/// False for what is no completion of an operation.
bool UringProactor::handle(const Event& event) {
  switch (event.data & tag_mask) {
    case tag_op:
      continue_with(*reinterpret_cast<Op*>(event.data), event.result, event.flags);
      return true;
    case tag_woken: wake_posted_.exchange(false, std::memory_order_acq_rel); return false;
    case tag_wake:
      // Not for a ring that is gone (EBADF, EBADFD): only for a want of memory.
      if (event.result == -ENOMEM || event.result == -EOVERFLOW || event.result == -EAGAIN)
        post_wake(static_cast<int>(event.data >> 3));
      return false;
    default: return false;
  }
}

void UringProactor::wake(Proactor& from) {
  CHECK(&from != this);
  // Orders what was put into a mailbox before the receiver's reset of the flag, and so before it
  // looks there.
  if (wake_posted_.exchange(true, std::memory_order_acq_rel)) return;
  static_cast<UringProactor&>(from).post_wake(ring_.ring_fd);
}

void UringProactor::post_wake(int ring_descriptor) {
  io_uring_sqe& sqe = next_sqe();
  io_uring_prep_msg_ring(&sqe, ring_descriptor, 0, tag_woken, 0);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  sqe.user_data = static_cast<uint64_t>(ring_descriptor) << 3 | tag_wake;
}

uint64_t UringProactor::random() {
  if (random_left_ == 0) {
    // At most 256 octets are always given whole (getrandom(2)).
    static_assert(sizeof random_ <= 256);
    CHECK(getrandom(random_.data(), sizeof random_, 0) == sizeof random_);
    random_left_ = random_.size();
  }
  return std::exchange(random_[--random_left_], 0);
}

void UringProactor::finish(Op& op, int32_t result) {
  op.in_flight = false;
  --in_flight_;
  report(op, {.result = result});
}

void UringProactor::finish_later(Op& op, int32_t result) { results_.push_back({&op, result}); }

void UringProactor::report(Op& op, const Completion& completion) {
  if (op.callback) op.callback(op.owner, op, completion);
}

void UringProactor::start(Op& op) {
  switch (op.kind) {
    case OpKind::connect:      return start_connect(static_cast<Connect&>(op));
    case OpKind::listen:       return start_listen(static_cast<Listen&>(op));
    case OpKind::accept:       return post(static_cast<Accept&>(op));
    case OpKind::receive:      return post(static_cast<Receive&>(op));
    case OpKind::send:         return post(static_cast<Send&>(op));
    case OpKind::close_socket: return post(static_cast<CloseSocket&>(op));
    default:                   CHECK(start_file(op));
  }
}

void UringProactor::continue_with(Op& op, int32_t result, uint32_t flags) {
  switch (op.kind) {
    case OpKind::connect:      return connect_continues(static_cast<Connect&>(op), result);
    case OpKind::listen:       return placed(op, static_cast<Listen&>(op).socket, result);
    case OpKind::accept:       return accept_continues(static_cast<Accept&>(op), result, flags);
    case OpKind::receive:      return receive_continues(static_cast<Receive&>(op), result, flags);
    case OpKind::send:         return send_continues(static_cast<Send&>(op), result);
    case OpKind::close_socket: return finish(op, std::min(result, 0));
    default:                   CHECK(file_continues(op, result, flags));
  }
}

}  // namespace sluice::io
