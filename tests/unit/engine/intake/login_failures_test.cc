#include "engine/intake/login_failures.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sluice::engine::intake {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr io::Instant start{std::chrono::hours(1)};

io::SocketAddress address(std::string_view text) { return *io::SocketAddress::parse(text); }

TEST(LoginFailures, make_each_further_guess_wait_twice_as_long) {
  LoginFailures failures;
  const io::SocketAddress client = address("192.0.2.1:1000");
  io::Instant now = start;
  for (const int delay_s : {0, 1, 2, 4, 8, 16, 30, 30}) {
    EXPECT_TRUE(failures.may_try(client, now));
    EXPECT_EQ(failures.wrong(client, now), seconds(delay_s));
    EXPECT_EQ(failures.may_try(address("192.0.2.1:2000"), now), delay_s == 0);
    now += seconds(delay_s);
  }
}

TEST(LoginFailures, are_forgotten_after_a_right_password_or_a_while) {
  LoginFailures failures;
  const io::SocketAddress client = address("192.0.2.1:1000");
  failures.wrong(client, start);
  EXPECT_EQ(failures.wrong(client, start), seconds(1));
  failures.right(client);
  EXPECT_EQ(failures.wrong(client, start), seconds(0));
  EXPECT_EQ(failures.wrong(client, start), seconds(1));
  EXPECT_EQ(failures.wrong(client, start + minutes(16)), seconds(0));
}

TEST(LoginFailures, are_those_of_an_address_whatever_its_port_and_of_an_ipv6_network) {
  LoginFailures failures;
  const auto has_failed = [&](std::string_view text) {
    return !failures.may_try(address(text), start);
  };
  for (const std::string_view text : {"192.0.2.1:1000", "[2001:db8::1]:1000"}) {
    failures.wrong(address(text), start);
    failures.wrong(address(text), start);
  }
  EXPECT_TRUE(has_failed("192.0.2.1:9"));
  EXPECT_TRUE(has_failed("[::ffff:192.0.2.1]:9"));
  EXPECT_FALSE(has_failed("192.0.2.2:1000"));
  EXPECT_TRUE(has_failed("[2001:db8::ffff:1]:9"));
  EXPECT_FALSE(has_failed("[2001:db8:0:1::1]:1000"));
}

TEST(LoginFailures, of_more_addresses_than_are_remembered_drop_the_oldest) {
  LoginFailures failures;
  const auto client = [](size_t i) {
    return address(fmt::format("10.{}.{}.1:1", i / 256, i % 256));
  };
  for (size_t i = 0; i <= LoginFailures::addresses_max; ++i) {
    const io::Instant now = start + std::chrono::milliseconds(i);
    failures.wrong(client(i), now);
    failures.wrong(client(i), now);
  }
  EXPECT_EQ(failures.size(), LoginFailures::addresses_max);
  EXPECT_TRUE(failures.may_try(client(0), start));
  EXPECT_FALSE(failures.may_try(client(1), start));
}

}  // namespace
}  // namespace sluice::engine::intake
