#include "engine/smtp/address_syntax.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::engine::smtp {
namespace {

using namespace std::string_literals;

TEST(WritableAddress, may_be_anything_that_stays_between_the_brackets) {
  for (const char* const address :
       {"a@b.example", "postmaster", "bounce+17=x@y.example", "\"a b\"@c.example",
        "\"<>\"@c.example", "\"a\\\"b c\"@c.example", "\"a\\\\\"@c.example", "a@[192.0.2.1]"}) {
    EXPECT_TRUE(is_writable_address(address, false)) << address;
  }
}

TEST(WritableAddress, holds_nothing_that_could_end_it) {
  for (const std::string& address :
       {""s, "a b@c"s, "a<b@c"s, "a>b@c"s, "a@c> SIZE=1"s, "a\r\nRSET\r\n@c"s, "a\n@c"s, "a\r@c"s,
        "a\0@c"s, "a\t@c"s, "a\x7f@c"s, "\"a@c"s, "\"a\\\"@c"s, "\"a\\\"> x\\\"@c"s, "\\\"a b@c"s,
        "a\\ b@c"s, "\"a\rb\"@c"s, "\"a\\\rb\"@c"s, "\"a\"b\" @c"s}) {
    EXPECT_FALSE(is_writable_address(address, true)) << address;
  }
}

TEST(WritableAddress, has_octets_over_127_only_with_SMTPUTF8) {
  EXPECT_TRUE(is_writable_address("j\xc3\xb6rg@b.example", true));
  EXPECT_FALSE(is_writable_address("j\xc3\xb6rg@b.example", false));
}

TEST(WritableAddress, is_no_longer_than_its_parts_at_their_longest) {
  const std::string longest = std::string(64, 'a') + "@" + std::string(255, 'b');
  EXPECT_TRUE(is_writable_address(longest, false));
  EXPECT_FALSE(is_writable_address(longest + "b", false));
}

}  // namespace
}  // namespace sluice::engine::smtp
