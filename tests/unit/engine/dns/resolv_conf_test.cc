#include "engine/dns/resolv_conf.h"

#include <gtest/gtest.h>

namespace sluice::engine::dns {
namespace {

std::string servers(std::string_view text) {
  std::string all;
  for (const auto& server : resolv_conf_servers(text)) all += server.text() + " ";
  return all;
}

TEST(ResolvConf, names_its_servers_in_order) {
  EXPECT_EQ(servers("# comment\nsearch example.test\nnameserver 192.0.2.1\n"
                    " nameserver\t2001:db8::1 \r\noptions rotate\nnameserver 127.0.0.53"),
            "192.0.2.1:53 [2001:db8::1]:53 127.0.0.53:53 ");
}

TEST(ResolvConf, passes_over_what_names_none_and_takes_three_at_most) {
  EXPECT_EQ(servers(""), "");
  EXPECT_EQ(
      servers("nameserver\nnameserver example.test\nnameservers 192.0.2.1\n;nameserver 192.0.2.9"),
      "");
  EXPECT_EQ(servers("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver "
                    "192.0.2.4\n"),
            "192.0.2.1:53 192.0.2.2:53 192.0.2.3:53 ");
}

}  // namespace
}  // namespace sluice::engine::dns
