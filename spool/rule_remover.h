#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/proactor.h"

namespace sluice::spool {

/// Unlinks rules that can have no effect any more (FORMAT.md section 6), without blocking. What
/// was there or gone before start() is durably so before the first goes: a release may go in a
/// later start() than the holds that it takes back, and not in the same.
class RuleRemover {
 public:
  using Removed = std::function<void(const std::string& name)>;

  RuleRemover(io::Proactor& proactor, const std::string& spool);
  RuleRemover(const RuleRemover&) = delete;
  RuleRemover& operator=(const RuleRemover&) = delete;
  /// Waits for what is in flight.
  ~RuleRemover();

  /// Nothing may be in flight. `removed` is called for each that has gone, from later turns; where
  /// the disk refuses, for none that follow.
  void start(std::vector<std::string> names, Removed removed);
  /// Begins no more.
  void stop() { names_.clear(); }
  bool is_in_flight() const { return sync_.in_flight || unlink_.in_flight; }

 private:
  void synced(io::SyncDirectory&, const io::Completion& completion);
  void unlinked(io::Unlink&, const io::Completion& completion);
  void remove_next();

  io::Proactor& proactor_;
  const std::string folder_;
  std::vector<std::string> names_;
  Removed removed_;
  io::SyncDirectory sync_;
  io::Unlink unlink_;
};

}  // namespace sluice::spool
