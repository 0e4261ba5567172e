#include "io/socket_address.h"

#include <gtest/gtest.h>

namespace sluice::io {
namespace {

TEST(SocketAddress, parses_and_prints_the_forms_of_the_configuration) {
  const auto text = [](std::string_view input, uint16_t port_default = 0) {
    const auto address = SocketAddress::parse(input, port_default);
    return address ? address->text() : "error: " + address.error();
  };
  EXPECT_EQ(text("192.0.2.7:25"), "192.0.2.7:25");
  EXPECT_EQ(text("[192.0.2.7]:25"), "192.0.2.7:25");
  EXPECT_EQ(text("[2001:DB8:0:0::1]:2525"), "[2001:db8::1]:2525");
  EXPECT_EQ(text("127.0.0.1:0"), "127.0.0.1:0");
  EXPECT_EQ(text("127.0.0.1:65535"), "127.0.0.1:65535");
  EXPECT_EQ(text("192.0.2.7", 25), "192.0.2.7:25");
  EXPECT_EQ(text("[2001:db8::1]", 25), "[2001:db8::1]:25");
  EXPECT_EQ(text("192.0.2.7:587", 25), "192.0.2.7:587");
}

TEST(SocketAddress, says_what_is_wrong) {
  const auto error = [](std::string_view input, uint16_t port_default = 0) {
    const auto address = SocketAddress::parse(input, port_default);
    return address ? "parsed: " + address->text() : address.error();
  };
  EXPECT_EQ(error("192.0.2.7"), "'192.0.2.7': the port is missing");
  EXPECT_EQ(error("192.0.2.7:"), "'192.0.2.7:': the port is a number from 0 to 65535");
  EXPECT_EQ(error("192.0.2.7:65536"), "'192.0.2.7:65536': the port is a number from 0 to 65535");
  EXPECT_EQ(error("192.0.2.7:-1"), "'192.0.2.7:-1': the port is a number from 0 to 65535");
  EXPECT_EQ(error("192.0.2.7:25x"), "'192.0.2.7:25x': the port is a number from 0 to 65535");
  EXPECT_EQ(error("2001:db8::1", 25),
            "'2001:db8::1': an IPv6 address stands in brackets, as in [2001:db8::1]:25");
  EXPECT_EQ(error("[2001:db8::1"), "'[2001:db8::1': no ']'");
  EXPECT_EQ(error("[::1]25"), "'[::1]25': expected ':' and a port after ']'");
  EXPECT_EQ(error("mx.example:25"), "'mx.example:25': 'mx.example' is not an IPv4 or IPv6 address");
  EXPECT_EQ(error("192.0.2.256:25"),
            "'192.0.2.256:25': '192.0.2.256' is not an IPv4 or IPv6 address");
  EXPECT_EQ(error(":25"), "':25': '' is not an IPv4 or IPv6 address");
  EXPECT_EQ(error("", 25), "'': '' is not an IPv4 or IPv6 address");
  EXPECT_EQ(error(std::string_view("127.0.0.1\0:25", 13)).substr(0, 7), "'127.0.");
}

TEST(SocketAddress, none_is_none) {
  const SocketAddress none;
  EXPECT_TRUE(none.is_none());
  EXPECT_EQ(none.text(), "");
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.size(), 0u);
  EXPECT_EQ(none, SocketAddress{});
}

TEST(SocketAddress, equality_is_of_family_address_and_port) {
  const auto address = [](std::string_view text) { return *SocketAddress::parse(text); };
  EXPECT_EQ(address("192.0.2.7:25"), address("[192.0.2.7]:25"));
  EXPECT_NE(address("192.0.2.7:25"), address("192.0.2.8:25"));
  EXPECT_NE(address("192.0.2.7:25"), address("192.0.2.7:26"));
  EXPECT_NE(address("[::1]:25"), address("[::2]:25"));
  EXPECT_NE(address("[::]:25"), address("0.0.0.0:25"));
  EXPECT_EQ(SocketAddress::from_sockaddr(address("[::1]:25").data()), address("[::1]:25"));
  EXPECT_EQ(SocketAddress::from_sockaddr(address("192.0.2.7:25").data()), address("192.0.2.7:25"));
}

}  // namespace
}  // namespace sluice::io
