#include "engine/intake/client_rates.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace sluice::engine::intake {
namespace {

using std::chrono::seconds;

constexpr io::Instant start{std::chrono::hours(1)};

int taken_at_once(ClientRates& rates, std::string_view client, io::Instant now) {
  int taken = 0;
  while (taken < 100'000 && rates.take(client, now) == io::Duration::zero()) ++taken;
  return taken;
}

TEST(ClientRates, let_everybody_pass_without_a_limit) {
  ClientRates rates(0);
  EXPECT_EQ(taken_at_once(rates, "a", start), 100'000);
}

TEST(ClientRates, give_a_minutes_messages_at_once_and_then_the_rate) {
  ClientRates rates(2);
  EXPECT_EQ(taken_at_once(rates, "a", start), 120);
  EXPECT_EQ(rates.take("a", start), std::chrono::milliseconds(500));
  EXPECT_EQ(taken_at_once(rates, "a", start + seconds(3)), 6);
  EXPECT_EQ(taken_at_once(rates, "a", start + seconds(1000)), 120);
}

TEST(ClientRates, give_ten_at_once_however_slow) {
  ClientRates rates(1.0 / 3600);
  EXPECT_EQ(taken_at_once(rates, "a", start), 10);
  EXPECT_EQ(rates.take("a", start), seconds(3600));
}

TEST(ClientRates, count_each_client_for_itself) {
  ClientRates rates(1);
  EXPECT_EQ(taken_at_once(rates, "a", start), 60);
  EXPECT_EQ(taken_at_once(rates, "b", start), 60);
  EXPECT_EQ(taken_at_once(rates, "a", start), 0);
}

TEST(ClientRates, remember_those_who_are_busy_among_many_who_are_not) {
  ClientRates rates(1);
  EXPECT_EQ(taken_at_once(rates, "busy", start), 60);
  for (int i = 0; i < 2000; ++i) rates.take(std::to_string(i), start);
  EXPECT_EQ(taken_at_once(rates, "busy", start), 0);
}

TEST(ClientRates, hold_for_all_threads_together) {
  ClientRates rates(100);
  rates.take("a", start);
  std::vector<int> taken(4);
  {
    std::vector<std::jthread> threads;
    for (int& mine : taken) threads.emplace_back([&] { mine = taken_at_once(rates, "a", start); });
  }
  EXPECT_EQ(taken[0] + taken[1] + taken[2] + taken[3], 5999);
}

}  // namespace
}  // namespace sluice::engine::intake
