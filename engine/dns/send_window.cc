#include "engine/dns/send_window.h"

#include <algorithm>
#include <chrono>

namespace sluice::engine::dns {

void SendWindow::held_back(io::Instant now) {
  if (is_held_back_) return;
  is_held_back_ = true;
  answers_ = 0;
  began_ = now;
}

void SendWindow::answered(io::Instant now) {
  if (++recent_answers_ >= answers_remembered) recent_answers_ /= 2, recent_timeouts_ /= 2;
  if (!is_held_back_ || ++answers_ < size_ || now - began_ < round_least) return;
  is_held_back_ = false;  // until the next one is
  const double seconds = std::chrono::duration<double>(now - began_).count();
  judge(answers_ / seconds);
}

void SendWindow::judge(double answers_per_s) {
  if (rest_ > 0) {
    if (--rest_ > 0) return;
  } else if (answers_per_s < answers_per_s_before_ * growth_least) {
    size_ = size_before_;
    rest_ = rounds_at_rest;
    return;
  }
  answers_per_s_before_ = answers_per_s;
  size_before_ = size_;
  size_ = std::min(size_ + size_ / 2, most_);
}

void SendWindow::timed_out(io::Instant sent, io::Instant now) {
  if (sent <= shrunk_at_) return;  // what was lost before does not count twice
  if (++recent_timeouts_ * answers_a_timeout < recent_answers_) return;
  recent_answers_ = recent_timeouts_ = 0;
  shrunk_at_ = now;
  size_ = std::max(size_ - size_ / 4, least);
  rest_ = rounds_at_rest;
}

}  // namespace sluice::engine::dns
