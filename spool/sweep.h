#pragma once

#include <deque>
#include <string>

#include "io/proactor.h"

namespace sluice::spool {

/// Unlinks temporary files whose writers are dead: those whose lock it can take (FORMAT.md
/// section 4.2). One at a time; failures are left to the next sweep.
class Sweep {
 public:
  explicit Sweep(io::Proactor& proactor);
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  /// `may_live`: a writer may hold a lock on it; else it goes in any case.
  void add(std::string path, bool may_live);
  bool is_in_flight() const;
  void stop() { waiting_.clear(); }

 private:
  struct Leftover {
    std::string path;
    bool may_live;
  };
  void begin_next();
  void opened(io::Open&, const io::Completion& completion);
  void locked(io::Lock&, const io::Completion& completion);
  void unlinked(io::Unlink&, const io::Completion&);
  void closed(io::CloseFile&, const io::Completion&) { begin_next(); }
  void close();

  io::Proactor& proactor_;
  std::deque<Leftover> waiting_;
  io::Open open_;
  io::Lock lock_;
  io::Unlink unlink_;
  io::CloseFile close_;
};

}  // namespace sluice::spool
