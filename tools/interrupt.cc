#include "tools/interrupt.h"

#include <cstdlib>

namespace sluice::tools {

namespace {

constexpr std::array<int, 3> numbers = {SIGINT, SIGTERM, SIGHUP};
volatile sig_atomic_t noted = 0;

void note(int number) {
  if (noted == 0) noted = number;
}

}  // namespace

Interrupt::Interrupt() {
  noted = 0;
  struct sigaction action{};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < numbers.size(); ++i) {
    sigaction(numbers[i], &action, &previous_[i]);
    // What the parent had ignored (nohup) stays ignored.
    if (previous_[i].sa_handler == SIG_IGN) sigaction(numbers[i], &previous_[i], nullptr);
  }
}

Interrupt::~Interrupt() {
  for (size_t i = 0; i < numbers.size(); ++i) sigaction(numbers[i], &previous_[i], nullptr);
}

int Interrupt::number() { return noted; }

void Interrupt::end_process() {
  const int number = noted;
  signal(number, SIG_DFL);
  raise(number);
  std::_Exit(128 + number);
}

}  // namespace sluice::tools
