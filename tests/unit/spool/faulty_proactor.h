#pragma once

#include <algorithm>
#include <cerrno>
#include <deque>
#include <functional>
#include <map>

#include "io/proactor.h"

namespace sluice::spool {

/// A Proactor that counts operations, and lets some fail without being done.
class FaultyProactor final : public io::Proactor {
 public:
  explicit FaultyProactor(io::Proactor& real) : real_(real) {}

  /// Asked for each operation: 0 lets it pass; else it is not done, and this is its result.
  std::function<int32_t(const io::Op&)> fault = [](const io::Op&) { return 0; };
  /// Of durable writes: those that fail do so with -EIO, after the octets were written.
  enum class Sync { done, skipped, fails } sync_of_writes = Sync::done;
  unsigned count(io::OpKind kind) const {
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
  }
  void forget_counts() { counts_.clear(); }

  void submit(io::Op& op) override {
    ++counts_[op.kind];
    int32_t result = fault(op);
    if (result == 0 && op.kind == io::OpKind::write && sync_of_writes != Sync::done)
      result = write_unsynced(static_cast<io::Write&>(op));
    if (result == 0) return real_.submit(op);
    op.in_flight = true;
    failed_.push_back({&op, result});
  }
  void cancel(io::Op& op) override { real_.cancel(op); }
  unsigned wait(io::Instant until, unsigned budget) override {
    if (failed_.empty()) {
      if (until != io::never) until = std::max(until, now()) - skipped;
      return real_.wait(until, budget);
    }
    real_.wait(real_.now(), budget);
    const auto [op, result] = failed_.front();
    failed_.pop_front();
    op->in_flight = false;
    op->callback(op->owner, *op, {.result = result});
    return 1;
  }
  io::Instant now() const override { return real_.now() + skipped; }
  io::WallTime wall() const override { return real_.wall(); }
  uint64_t random() override { return real_.random(); }
  void wake(io::Proactor& from) override { real_.wake(from); }
  unsigned in_flight() const override {
    return real_.in_flight() + static_cast<unsigned>(failed_.size());
  }

  /// Added to the clock: so that a test need not wait for a timer.
  io::Duration skipped{};

 private:
  /// -EIO, or 0 for one that is not durable.
  int32_t write_unsynced(io::Write& write) {
    if (!write.is_durable) return 0;
    io::Write plain;
    plain.file = write.file;
    plain.offset = write.offset;
    plain.bytes = write.bytes;
    const int32_t result = io::run(real_, plain);
    return sync_of_writes == Sync::fails ? -EIO : result;
  }

  struct Failed {
    io::Op* op;
    int32_t result;
  };
  io::Proactor& real_;
  std::deque<Failed> failed_;
  std::map<io::OpKind, unsigned> counts_;
};

}  // namespace sluice::spool
