#include "io/signal_mask.h"

#include <csignal>

#include "io/check.h"

namespace sluice::io {

void block_signals(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace sluice::io
