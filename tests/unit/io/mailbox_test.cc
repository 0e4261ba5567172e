#include "io/mailbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace sluice::io {
namespace {

TEST(Mailbox, gives_values_in_order_and_says_when_it_is_full) {
  Mailbox<int, 4> mailbox;
  EXPECT_EQ(mailbox.pop(), std::nullopt);
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(mailbox.push(10 * round + i));
    EXPECT_FALSE(mailbox.push(99));
    EXPECT_EQ(mailbox.pop(), 10 * round);
    EXPECT_TRUE(mailbox.push(10 * round + 4));
    for (int i = 1; i <= 4; ++i) EXPECT_EQ(mailbox.pop(), 10 * round + i);
    EXPECT_EQ(mailbox.pop(), std::nullopt);
  }
}

TEST(Mailbox, leaves_a_value_alone_that_finds_no_place) {
  Mailbox<std::unique_ptr<int>, 1> mailbox;
  EXPECT_TRUE(mailbox.push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(mailbox.push(std::move(second)));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(**mailbox.pop(), 1);
}

TEST(Mailbox, holds_on_to_nothing_that_was_taken) {
  Mailbox<std::shared_ptr<int>, 2> mailbox;
  auto value = std::make_shared<int>(1);
  EXPECT_TRUE(mailbox.push(std::shared_ptr(value)));
  mailbox.pop();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(Mailbox, carries_every_value_once_and_in_order_from_thread_to_thread) {
  constexpr uint64_t count = 200'000;
  Mailbox<std::unique_ptr<uint64_t>, 64> mailbox;
  std::thread sender([&] {
    for (uint64_t i = 0; i < count; ++i) {
      auto value = std::make_unique<uint64_t>(i);
      while (!mailbox.push(std::move(value))) std::this_thread::yield();
    }
  });
  for (uint64_t expected = 0; expected < count;) {
    if (const auto value = mailbox.pop())
      ASSERT_EQ(**value, expected++);
    else
      std::this_thread::yield();
  }
  sender.join();
  EXPECT_EQ(mailbox.pop(), std::nullopt);
}

}  // namespace
}  // namespace sluice::io
