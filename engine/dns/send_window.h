#pragma once

#include <cstdint>

#include "io/clock.h"

namespace sluice::engine::dns {

/// How many questions may be on their way to one server. It grows while that brings more answers a
/// second, as long as there is more to ask: a resolver that asks others for each answer gets
/// thousands, a quick server next door no more than its socket's buffer holds. UDP has no other way
/// to say so than losing questions, and a lost one is only missed at its timeout. A few that nobody
/// answers are names whose own servers are dead, and no sign of that.
class SendWindow {
 public:
  static constexpr uint32_t at_first = 128, least = 32;

  explicit SendWindow(uint32_t most) : most_(most) {}

  uint32_t size() const { return size_; }
  /// The window kept a question from being sent.
  void held_back(io::Instant now);
  void answered(io::Instant now);
  /// A question sent at `sent` was not answered in time.
  void timed_out(io::Instant sent, io::Instant now);

 private:
  static constexpr io::Duration round_least = std::chrono::milliseconds(100);
  static constexpr double growth_least = 1.3;           // of the answers a second, to be worth more
  static constexpr unsigned rounds_at_rest = 16;        // before more is tried again
  static constexpr uint32_t answers_a_timeout = 8;      // more than so many: names, not the window
  static constexpr uint32_t answers_remembered = 1024;  // about so many of the last

  void judge(double answers_per_s);

  const uint32_t most_;
  uint32_t size_ = at_first;
  // A round is at least as many answers as the window is large, while questions are held back.
  bool is_held_back_ = false;
  uint32_t answers_ = 0;
  io::Instant began_{};
  // Before the window last grew.
  uint32_t size_before_ = at_first;
  double answers_per_s_before_ = 0;
  unsigned rest_ = 0;  // rounds to go before it may grow again
  io::Instant shrunk_at_ = io::Instant::min();
  uint32_t recent_answers_ = 0, recent_timeouts_ = 0;  // since then, or halved: the latest
};

}  // namespace sluice::engine::dns
