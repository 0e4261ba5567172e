#pragma once

#include <string>

#include "io/proactor.h"

namespace sluice::tools::sink {

/// One message on its way into a file of its own: written under a hidden name, then renamed.
class Saving {
 public:
  using Done = void (*)(void* owner, int32_t result);

  /// Calls `done(owner, result)` once, from a later wait(): 0, or a negated errno.
  Saving(io::Proactor& proactor, const std::string& directory, const std::string& name,
         std::string text, void* owner, Done done);

 private:
  void opened(io::Open&, const io::Completion& completion);
  void written(io::Write&, const io::Completion& completion);
  void closed(io::CloseFile&, const io::Completion& completion);
  void renamed(io::Rename&, const io::Completion& completion);

  io::Proactor& proactor_;
  void* owner_;
  Done done_;
  std::string text_;
  int32_t result_ = 0;
  io::Open open_;
  io::Write write_;
  io::CloseFile close_;
  io::Rename rename_;
};

}  // namespace sluice::tools::sink
