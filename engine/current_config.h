#pragma once

#include <atomic>
#include <deque>
#include <utility>

#include "engine/config.h"

namespace sluice::engine {

/// The configuration that a running engine goes by, which a reload replaces. For any thread; what
/// get() returned stays good for as long as this lives: a few KB for each reload.
class CurrentConfig {
 public:
  /// `first` outlives this.
  explicit CurrentConfig(const Config& first) : now_(&first) {}

  const Config& get() const { return *now_.load(std::memory_order_acquire); }
  /// One thread only.
  void set(Config&& next) {
    now_.store(&later_.emplace_back(std::move(next)), std::memory_order_release);
  }

 private:
  std::deque<Config> later_;
  std::atomic<const Config*> now_;
};

}  // namespace sluice::engine
