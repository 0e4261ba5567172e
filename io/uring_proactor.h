#pragma once

#include <liburing.h>

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <unordered_map>

#include "io/buffer_ring.h"
#include "io/uring.h"
#include "io/uring_refusal.h"

struct statx;

namespace sluice::io {

/// The Proactor on io_uring. An operation is a chain of submissions that carry its address as
/// user_data; what the ring cannot do, or is not worth a submission, is done by a system call in
/// submit() and completes from the next wait().
class UringProactor final : public Proactor {
 public:
  UringProactor() = default;
  UringProactor(const UringProactor&) = delete;
  UringProactor& operator=(const UringProactor&) = delete;
  ~UringProactor() override;

  struct Refusal {
    UringStep step;
    int error;  // errno
  };
  std::expected<void, Refusal> open(const UringOptions& options);

  void submit(Op& op) override;
  void cancel(Op& op) override;
  unsigned wait(Instant until, unsigned budget) override;
  Instant now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  Instant clock() const override;
  uint64_t random() override;
  void wake(Proactor& from) override;
  unsigned in_flight() const override { return in_flight_; }

 private:
  /// A completion queue entry, copied out.
  struct Event {
    uint64_t data;
    int32_t result;
    uint32_t flags;
  };
  /// The low three bits of user_data; an Op's address has none of them.
  enum Tag : uint64_t { tag_op = 0, tag_unheeded = 1, tag_woken = 2, tag_wake = 3, tag_mask = 7 };

  io_uring_sqe& next_sqe();
  void take_events();
  void enter(Instant until);
  void read_clocks();
  bool next_event(Event& event);
  bool handle(const Event& event);
  void post_wake(int ring_descriptor);

  void start(Op& op);
  void continue_with(Op& op, int32_t result, uint32_t flags);
  void finish(Op& op, int32_t result);
  void finish_later(Op& op, int32_t result);
  void report(Op& op, const Completion& completion);
  /// After a multishot's callback: posts `op` again if the kernel ended it, or ends it if it was
  /// cancelled meanwhile.
  template <class Kind>
  void keep_going(Kind& op, uint32_t flags);

  // uring_network.cc
  void start_connect(Connect& op);
  void start_listen(Listen& op);
  void place(Op& op, Socket& socket);
  void placed(Op& op, Socket& socket, int32_t result);
  void post(Accept& op);
  void post(Receive& op);
  void post(Send& op);
  void post(CloseSocket& op);
  void connect_continues(Connect& op, int32_t result);
  void accept_continues(Accept& op, int32_t result, uint32_t flags);
  void receive_continues(Receive& op, int32_t result, uint32_t flags);
  void send_continues(Send& op, int32_t result);

  // uring_files.cc
  bool start_file(Op& op);
  bool post_simple(Op& op);
  bool file_continues(Op& op, int32_t result, uint32_t flags);
  void post(Read& op);
  void post(Write& op);
  void post_stat(Stat& op);
  void stat_continues(Stat& op, int32_t result);
  void start_notices(Op& op, int descriptor);
  void post_notices(Op& op);
  template <class Transfer>
  void transfer_continues(Transfer& op, int32_t result);
  void sync_directory_continues(SyncDirectory& op, int32_t result);
  void notices_continue(Op& op, int32_t result, uint32_t flags);
  void directory_changed(WatchDirectory& op);
  void signals_came(Signals& op);

  void set_op(io_uring_sqe& sqe, Op& op) { sqe.user_data = reinterpret_cast<uintptr_t>(&op); }

  io_uring ring_{};
  bool is_open_ = false;
  bool shuts_down_before_close_ = false;
  unsigned in_flight_ = 0;
  Instant now_{};
  WallTime wall_{};
  BufferRing buffers_;
  std::atomic<bool> wake_posted_{false};  // a wake-up is on its way: one is enough
  struct Result {
    Op* op;
    int32_t result;
  };
  std::deque<Result> results_;  // of operations done by system calls, for the next wait()
  std::deque<Event> taken_;     // events taken out of a full completion queue, to be handled first
  std::unordered_map<Op*, std::unique_ptr<struct statx>> stats_;
  std::array<uint64_t, 32> random_{};
  size_t random_left_ = 0;
};

template <class Kind>
void UringProactor::keep_going(Kind& op, uint32_t flags) {
  if (flags & IORING_CQE_F_MORE) return;
  if (op.cancelled)
    finish(op, -ECANCELED);
  else
    post(op);
}

}  // namespace sluice::io
