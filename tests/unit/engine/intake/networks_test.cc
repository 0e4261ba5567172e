#include "engine/intake/networks.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::engine::intake {
namespace {

bool contains(const std::vector<std::string>& networks, const std::string& address) {
  return Networks(networks).contains(*io::SocketAddress::parse(address, 25));
}

TEST(Networks, hold_the_addresses_of_their_blocks_and_no_others) {
  const std::vector<std::string> networks = {"10.0.0.0/8", "192.0.2.128/25", "203.0.113.7",
                                             "2001:db8::/33", "::1"};
  for (const char* address : {"10.0.0.0", "10.255.255.255", "192.0.2.128", "192.0.2.255",
                              "203.0.113.7", "[2001:db8:7fff::1]", "[::1]"})
    EXPECT_TRUE(contains(networks, address)) << address;
  for (const char* address : {"9.255.255.255", "11.0.0.0", "192.0.2.127", "203.0.113.6",
                              "203.0.113.8", "[2001:db8:8000::1]", "[::2]", "[::]", "127.0.0.1"})
    EXPECT_FALSE(contains(networks, address)) << address;
}

TEST(Networks, take_a_mapped_ipv4_address_for_what_it_is) {
  EXPECT_TRUE(contains({"127.0.0.0/8"}, "[::ffff:127.0.0.1]"));
  EXPECT_TRUE(contains({"::ffff:127.0.0.0/104"}, "127.1.2.3"));
  EXPECT_TRUE(contains({"::ffff:127.0.0.1"}, "127.0.0.1"));
  EXPECT_FALSE(contains({"::ffff:127.0.0.0/104"}, "128.0.0.1"));
}

TEST(Networks, of_one_family_hold_none_of_the_other) {
  EXPECT_TRUE(contains({"0.0.0.0/0"}, "198.51.100.1"));
  EXPECT_FALSE(contains({"0.0.0.0/0"}, "[::1]"));
  EXPECT_TRUE(contains({"::/0"}, "[2001:db8::1]"));
  EXPECT_FALSE(contains({"::/0"}, "198.51.100.1"));
  EXPECT_FALSE(contains({"::/0"}, "[::ffff:198.51.100.1]"));
}

TEST(Networks, that_are_none_hold_nobody) {
  EXPECT_FALSE(contains({}, "127.0.0.1"));
  EXPECT_FALSE(Networks().contains(io::SocketAddress()));
}

TEST(Networks, say_what_is_wrong_with_their_text) {
  const auto error = [](std::string_view text) {
    const auto network = parse_network(text);
    return network ? "" : network.error();
  };
  EXPECT_EQ(error("10.0.0.1/8"), "has bits beyond its /8; write 10.0.0.0/8");
  EXPECT_EQ(error("2001:db8::1/32"), "has bits beyond its /32; write 2001:db8::/32");
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.0/8 "})
    EXPECT_EQ(error(text), "has no good number of bits; behind the slash write 0 to 32") << text;
  EXPECT_EQ(error("::/129"), "has no good number of bits; behind the slash write 0 to 128");
  EXPECT_EQ(error("::ffff:10.0.0.0/95"),
            "has no good number of bits; behind the slash write 96 to 128");
  for (const char* text :
       {"", "/", "/8", "10.0.0", "10.0.0.0.0", "localhost", "[::1]", "10.0.0.1:25"})
    EXPECT_EQ(error(text), "is not a network; write 192.0.2.0/24, 2001:db8::/32 or one address")
        << text;
}

}  // namespace
}  // namespace sluice::engine::intake
