#include "engine/config_value.h"

#include <gtest/gtest.h>

#include <chrono>

#include "engine/config.h"
#include "engine/nearest_name.h"

namespace sluice::engine {
namespace {

using namespace std::chrono_literals;

TEST(Duration, is_a_whole_number_with_a_unit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("4h"), 4h);
  EXPECT_EQ(parse_duration("1d"), 24h);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, anything_else_is_none) {
  for (const char* text : {"", "s", "30", "30x", "-1s", "+1s", "1.5h", " 1s", "1s ", "1 s", "1h30m",
                           "1S", "99999999999999999999s", "999999999999d"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(Duration, text_is_the_largest_unit_that_says_it_whole) {
  EXPECT_EQ(duration_text(90s), "90s");
  EXPECT_EQ(duration_text(120s), "2m");
  EXPECT_EQ(duration_text(24h), "1d");
  EXPECT_EQ(duration_text(0s), "0s");
  EXPECT_EQ(duration_text(1500ms), "1500ms");
}

TEST(Rate, is_a_number_a_unit_of_time) {
  EXPECT_EQ(parse_rate("100/s"), 100.0);
  EXPECT_EQ(parse_rate("30/m"), 0.5);
  EXPECT_EQ(parse_rate("36/h"), 0.01);
  for (const char* text : {"", "100", "/s", "0/s", "-1/s", "1.5/s", "10/ms", "10/", "10/w"})
    EXPECT_EQ(parse_rate(text), std::nullopt) << text;
}

TEST(Hostname, has_labels_of_letters_digits_and_hyphens) {
  for (const char* text : {"a", "mta1.example.net", "1.a", "a-b.c"})
    EXPECT_TRUE(is_hostname(text)) << text;
  for (const std::string& text :
       {std::string(), std::string("."), std::string("a."), std::string("a..b"),
        std::string("-a.b"), std::string("a-.b"), std::string("a_b"), std::string("a b"),
        std::string(64, 'a'), std::string("a\0b", 3)})
    EXPECT_FALSE(is_hostname(text)) << text;
}

TEST(NextHop, is_a_name_or_address_with_or_without_port) {
  struct Case {
    const char* text;
    const char* host;
    uint16_t port;
  };
  for (const Case& c :
       {Case{"relay.example.net", "relay.example.net", 0},
        Case{"relay.example.net:25", "relay.example.net", 25},
        Case{"192.0.2.7:2525", "192.0.2.7", 2525}, Case{"[192.0.2.7]:2525", "192.0.2.7", 2525},
        Case{"[192.0.2.7]", "192.0.2.7", 0}, Case{"[2001:db8::7]:25", "2001:db8::7", 25},
        Case{"[IPv6:2001:db8::7]", "2001:db8::7", 0}, Case{"localhost:1", "localhost", 1}}) {
    const auto hop = parse_next_hop(c.text);
    ASSERT_TRUE(hop.has_value()) << c.text;
    EXPECT_EQ(hop->host, c.host);
    EXPECT_EQ(hop->port, c.port);
  }
  for (const char* text : {"", ":25", "a:", "a:0", "a:65536", "a:25:26", "2001:db8::7",
                           "[2001:db8::7", "[a]:25", "192.0.2.300:25", "a b:25", "[192.0.2.7]25"})
    EXPECT_FALSE(parse_next_hop(text).has_value()) << text;
}

TEST(AsciiDomain, is_in_a_labels_and_lower_case) {
  EXPECT_EQ(ascii_domain("Example.NET."), "example.net");
  EXPECT_EQ(ascii_domain("büro.example"), "xn--bro-hoa.example");
  EXPECT_EQ(ascii_domain("a b"), std::nullopt);
  EXPECT_EQ(ascii_domain("\xff.example"), std::nullopt);
}

TEST(NearestName, finds_what_was_meant_and_nothing_else) {
  constexpr std::string_view names[] = {"hostname", "spool", "log", "shards"};
  EXPECT_EQ(nearest_name("hostnme", names), "hostname");
  EXPECT_EQ(nearest_name("sopol", names), "spool");
  EXPECT_EQ(nearest_name("lgo", names), "log");
  EXPECT_EQ(nearest_name("shard", names), "shards");
  EXPECT_EQ(nearest_name("colour", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(1000000, 'x'), names), "");
}

}  // namespace
}  // namespace sluice::engine
