#include "engine/dns/send_window.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

namespace sluice::engine::dns {
namespace {

using namespace std::chrono_literals;

/// Asks a server as fast as the window allows for some time.
struct Model {
  /// When a question sent at `now` is answered; never: it is lost.
  std::function<io::Instant(io::Instant now)> server;
  SendWindow window{4096};
  uint64_t sent = 0, answered = 0, lost = 0;

  void run(io::Duration time) {
    io::Instant now{1h};
    const io::Instant end = now + time;
    std::multiset<io::Instant> answers;
    std::multimap<io::Instant, io::Instant> timeouts;  // with when they were sent
    uint64_t under_way = 0;
    while (now < end) {
      for (; under_way < window.size(); ++under_way, ++sent) {
        const io::Instant at = server(now);
        if (at == io::never)
          timeouts.emplace(now + 1s, now);
        else
          answers.insert(at);
      }
      window.held_back(now);
      const bool is_answer =
          !answers.empty() && (timeouts.empty() || *answers.begin() <= timeouts.begin()->first);
      --under_way;
      if (is_answer) {
        now = *answers.begin();
        answers.erase(answers.begin());
        ++answered;
        window.answered(now);
      } else {
        now = timeouts.begin()->first;
        window.timed_out(timeouts.begin()->second, now);
        timeouts.erase(timeouts.begin());
        ++lost;
      }
    }
  }
};

TEST(SendWindow, grows_to_thousands_for_a_resolver_that_works_on_many_at_once) {
  Model model{.server = [](io::Instant now) { return now + 100ms; }};
  model.run(10s);
  EXPECT_GT(model.window.size(), 3000u);
  EXPECT_GT(model.answered, 200'000u) << "over half of 4096 each 100 ms";
}

TEST(SendWindow, stays_within_the_buffer_of_a_quick_server) {
  // 40,000 a second one after the other, and room for 270 that wait.
  io::Instant free_at{};
  Model model{.server = [&](io::Instant now) {
    if (free_at > now + 270 * 25us) return io::never;
    return free_at = std::max(free_at, now) + 25us;
  }};
  model.run(10s);
  EXPECT_GT(model.answered, 380'000u);
  EXPECT_LT(model.lost, model.answered / 500);
}

TEST(SendWindow, shrinks_while_questions_are_lost_but_once_for_each_time_it_waited) {
  SendWindow window(4096);
  const io::Instant begin{1h};
  for (int i = 0; i < 100; ++i) window.timed_out(begin, begin + 3s);
  EXPECT_EQ(window.size(), 96u);
  for (int i = 1; i < 100; ++i) window.timed_out(begin + i * 4s, begin + i * 4s + 3s);
  EXPECT_EQ(window.size(), SendWindow::least);
}

TEST(SendWindow, stays_open_though_one_name_in_twenty_has_dead_servers) {
  unsigned asked = 0;
  Model model{
      .server = [&](io::Instant now) { return ++asked % 20 == 0 ? io::never : now + 10ms; }};
  model.run(30s);
  EXPECT_GE(model.window.size(), SendWindow::at_first);
}

TEST(SendWindow, shrinks_when_every_fourth_question_is_lost) {
  unsigned asked = 0;
  Model model{.server = [&](io::Instant now) { return ++asked % 4 == 0 ? io::never : now + 10ms; }};
  model.run(30s);
  EXPECT_LT(model.window.size(), SendWindow::at_first);
}

TEST(SendWindow, is_not_changed_by_answers_while_there_is_nothing_more_to_ask) {
  SendWindow window(4096);
  for (int i = 0; i < 10'000; ++i) window.answered(io::Instant(1h) + i * 1ms);
  EXPECT_EQ(window.size(), SendWindow::at_first);
}

}  // namespace
}  // namespace sluice::engine::dns
