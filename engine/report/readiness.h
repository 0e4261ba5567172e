#pragma once

#include <mutex>
#include <string>

namespace sluice::engine::report {

/// Can the engine do its work now? Told seldom by shard 0, asked by other threads.
class Readiness {
 public:
  /// Storage refuses; "" : it works again.
  void set_storage_problem(const std::string& problem) {
    const std::lock_guard lock(mutex_);
    storage_problem_ = problem;
  }
  void set_stopping() {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  bool is_stopping() const {
    const std::lock_guard lock(mutex_);
    return is_stopping_;
  }
  /// Why not; "" when it is ready.
  std::string problem() const {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return "stopping";
    return storage_problem_.empty() ? "" : "storage: " + storage_problem_;
  }

 private:
  mutable std::mutex mutex_;
  std::string storage_problem_;
  bool is_stopping_ = false;
};

}  // namespace sluice::engine::report
