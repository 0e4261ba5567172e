#include "engine/mail/received_field.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace sluice::engine::mail {
namespace {

Received received() {
  return {.client_name = "app1.example",
          .client = *io::SocketAddress::parse("192.0.2.7:4711"),
          .hostname = "mx.example",
          .protocol = "ESMTP",
          .id = "k3-17",
          .time = io::WallTime(std::chrono::seconds(1795327526))};
}

std::string field(const Received& received) {
  std::string out;
  append_received(out, received);
  return out;
}

TEST(Received, tells_from_whom_by_whom_how_and_when) {
  EXPECT_EQ(field(received()),
            "Received: from app1.example ([192.0.2.7])\r\n"
            "\tby mx.example with ESMTP id k3-17;\r\n"
            "\tSun, 22 Nov 2026 06:05:26 +0000\r\n");
}

TEST(Received, tells_of_tls_and_the_one_recipient) {
  Received full = received();
  full.client = *io::SocketAddress::parse("[2001:db8::7]:4711");
  full.protocol = "ESMTPSA";
  full.tls = "TLSv1.3 TLS_AES_128_GCM_SHA256";
  full.recipient = "x@r.example";
  EXPECT_EQ(field(full),
            "Received: from app1.example ([IPv6:2001:db8::7])\r\n"
            "\t(using TLSv1.3 TLS_AES_128_GCM_SHA256)\r\n"
            "\tby mx.example with ESMTPSA id k3-17\r\n"
            "\tfor <x@r.example>;\r\n"
            "\tSun, 22 Nov 2026 06:05:26 +0000\r\n");
}

TEST(Received, lets_no_client_write_into_it) {
  const std::string expected = field([] {
    Received anonymous = received();
    anonymous.client_name = "[192.0.2.7]";
    return anonymous;
  }());
  for (const std::string& name :
       std::vector<std::string>{"", "a b", "a(b", "a)b", "a\r\nBcc: x", "a;b", "<a>", "a\\",
                                "\"a\"", "b\xc3\xbc", std::string(256, 'a')}) {
    Received hostile = received();
    hostile.client_name = name;
    EXPECT_EQ(field(hostile), expected) << name;
  }
  for (const std::string_view recipient : {"x> y@r", "x@r\r\nBcc: y", "\xc3\xa9@r.example"}) {
    Received hostile = received();
    hostile.recipient = recipient;
    EXPECT_EQ(field(hostile), field(received())) << recipient;
  }
}

TEST(Received, names_a_recipient_beyond_ascii_where_that_is_allowed) {
  Received utf8 = received();
  utf8.protocol = "UTF8SMTP";
  utf8.recipient = "\xc3\xa9@r.example";
  EXPECT_NE(field(utf8).find("\tfor <\xc3\xa9@r.example>;\r\n"), std::string::npos);
}

TEST(Received, shows_a_mapped_address_as_the_one_it_maps) {
  EXPECT_EQ(address_literal(*io::SocketAddress::parse("[::ffff:192.0.2.7]:25")), "[192.0.2.7]");
}

}  // namespace
}  // namespace sluice::engine::mail
