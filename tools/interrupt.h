#pragma once

#include <signal.h>

#include <array>

namespace sluice::tools {

/// While one exists, SIGINT, SIGTERM and SIGHUP are noted instead of ending the process, so that
/// what was begun can be undone. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// The first signal that came; 0 for none.
  static int number();
  /// Ends the process by the signal that was noted, as if nobody had handled it: a shell then knows
  /// that the user stopped it.
  [[noreturn]] static void end_process();

 private:
  std::array<struct sigaction, 3> previous_;
};

}  // namespace sluice::tools
