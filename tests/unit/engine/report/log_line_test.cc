#include "engine/report/log_line.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::engine::report {
namespace {

using namespace std::chrono;
using smtp::Stage;

io::WallTime at(int64_t us) { return io::WallTime(microseconds(us)); }

std::string line(const LogEntry& entry) {
  std::string out;
  LogLineWriter().append(out, entry);
  return out;
}

TEST(TimeText, is_rfc3339_in_utc_with_microseconds) {
  TimeText text;
  std::string out;
  for (const int64_t us : {0L, 1L, 999999L, 1000000L, 951782400000000L, 1795238864123456L,
                           4102444799999999L, 1795238864123457L}) {
    text.append(out, at(us));
    out += ' ';
  }
  EXPECT_EQ(out,
            "1970-01-01T00:00:00.000000Z 1970-01-01T00:00:00.000001Z 1970-01-01T00:00:00.999999Z "
            "1970-01-01T00:00:01.000000Z "
            "2000-02-29T00:00:00.000000Z 2026-11-21T05:27:44.123456Z 2099-12-31T23:59:59.999999Z "
            "2026-11-21T05:27:44.123457Z ");
}

TEST(TimeText, a_time_before_1970_is_right_too) {
  std::string out;
  TimeText().append(out, at(-1));
  EXPECT_EQ(out, "1969-12-31T23:59:59.999999Z");
}

TEST(LogLine, has_every_key_of_the_contract_in_its_order) {
  const auto remote = io::SocketAddress::parse("192.168.100.200:2525").value();
  const auto local = io::SocketAddress::parse("[2001:db8::7]:40000").value();
  LogEntry entry{.event = Event::deferred,
                 .time = at(1795238864123456),
                 .id = "5f3a.17",
                 .campaign = "news-47",
                 .sender = "bounce+17@news.example",
                 .recipient = "ann@example.net",
                 .original_recipient = "Ann@example.net",
                 .message_id = "<17@news.example>",
                 .bytes = 10240,
                 .recipients = 3,
                 .attempt = 2,
                 .has_stage = true,
                 .stage = Stage::final_dot,
                 .host = "mx1.example.net",
                 .remote = &remote,
                 .local = &local,
                 .tls = "TLSv1.3 TLS_AES_128_GCM_SHA256 verified",
                 .code = 451,
                 .enhanced = {4, 7, 100},
                 .text = "try\nlater",
                 .reason = "because",
                 .next_attempt = at(1795239164123456),
                 .expires = at(1795670864000000)};
  entry.phases_us[static_cast<size_t>(Stage::connect)] = 412;
  entry.phases_us[static_cast<size_t>(Stage::final_dot)] = 1234567;
  EXPECT_EQ(
      line(entry),
      R"({"time":"2026-11-21T05:27:44.123456Z","event":"deferred","id":"5f3a.17","campaign":"news-47",)"
      R"("sender":"bounce+17@news.example","recipient":"ann@example.net","original_recipient":"Ann@example.net",)"
      R"("message_id":"<17@news.example>","bytes":10240,"recipients":3,"attempt":2,"phase":"final_dot","host":"mx1.example.net",)"
      R"("remote":"192.168.100.200:2525","local":"[2001:db8::7]:40000","tls":"TLSv1.3 TLS_AES_128_GCM_SHA256 verified",)"
      R"("code":451,"enhanced":"4.7.100","text":"try\nlater","reason":"because",)"
      R"("phases_ms":{"connect":0.412,"final_dot":1234.567},"next_attempt":"2026-11-21T05:32:44.123456Z",)"
      R"("expires":"2026-11-26T05:27:44.000000Z"})"
      "\n");
}

TEST(LogLine, leaves_out_what_is_empty_but_tls) {
  const io::SocketAddress none;
  EXPECT_EQ(line({.event = Event::in_doubt, .time = at(0), .remote = &none}),
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"event\":\"in_doubt\",\"tls\":null}\n");
}

TEST(LogLine, tells_the_null_sender_from_one_that_is_not_known) {
  EXPECT_NE(line({.sender = ""}).find(R"("sender":"",)"), std::string::npos);
  EXPECT_EQ(line({}).find("sender"), std::string::npos);
}

TEST(LogLine, addresses_are_written_as_socket_address_writes_them) {
  for (const char* text :
       {"127.0.0.1:25", "255.255.255.255:65535", "[::1]:1", "[2001:db8:1:2:3:4:5:6]:2525"}) {
    const auto address = io::SocketAddress::parse(text).value();
    EXPECT_NE(line({.remote = &address}).find("\"remote\":\"" + address.text() + "\""),
              std::string::npos)
        << line({.remote = &address});
  }
}

TEST(LogLine, names_every_event) {
  const char* names[] = {"accepted", "delivered", "deferred", "failed",    "expired",
                         "delayed",  "held",      "released", "cancelled", "in_doubt"};
  for (uint8_t i = 0; i < std::size(names); ++i)
    EXPECT_NE(
        line({.event = static_cast<Event>(i)}).find("\"event\":\"" + std::string(names[i]) + "\""),
        std::string::npos);
}

}  // namespace
}  // namespace sluice::engine::report
