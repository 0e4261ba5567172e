// What cannot be told as a dialogue of whole lines: replies in the middle of content, odd octets,
// room that runs out.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/smtp/client.h"
#include "tests/unit/engine/smtp/event_recorder.h"

namespace sluice::engine::smtp {
namespace {

using namespace std::string_literals;

class SmtpClientEdge : public ::testing::Test {
 protected:
  void hear(std::string_view octets) { client.receive({octets.data(), octets.size()}); }

  std::string say(size_t room = 65536) {
    std::string out(room, '\0');
    out.resize(client.produce(out));
    return out;
  }

  std::string told() {
    std::string lines;
    for (const auto& event : recorder.events) lines += event.line + "\n";
    recorder.events.clear();
    return lines;
  }

  /// The session is open and what() was offered before has its envelope granted: content is due.
  void open_content(StringBody& body,
                    std::string_view extensions = "250-mx\r\n250 PIPELINING\r\n") {
    client.offer({.sender = "a@s.example", .recipients = to, .body = &body});
    client.offer({.sender = "b@s.example", .recipients = to, .body = &second});
    hear("220 mx\r\n");
    say();
    hear(extensions);
    say();
    hear("250 ok\r\n250 ok\r\n354 go\r\n");
    told();
  }

  EventRecorder recorder;
  Client client{"me.example", recorder};
  const std::vector<std::string_view> to{"x@r.example"};
  StringBody large{std::string(10000, 'x') + "\r\n"}, second{"second\r\n"};
};

TEST_F(SmtpClientEdge, takes_a_refusal_in_the_middle_of_content_for_the_verdict_and_ends) {
  open_content(large);
  EXPECT_EQ(client.stage(), Stage::block);
  EXPECT_EQ(say(1024).size(), 1024u);
  hear("552 5.3.4 too big\r\n");
  EXPECT_EQ(told(),
            "0.0 permanent message block 552 5.3.4\n0 ended\n1 returned\n"
            "failed transient session block 552 5.3.4\n");
  EXPECT_EQ(say(), "");
  EXPECT_TRUE(client.is_closed());
}

TEST_F(SmtpClientEdge, defers_the_message_when_421_comes_in_the_middle_of_content) {
  open_content(large);
  say(1024);
  hear("421 closing\r\n");
  EXPECT_EQ(
      told(),
      "0.0 transient session block 421\n0 ended\n1 returned\nfailed transient session block 421\n");
}

TEST_F(SmtpClientEdge, believes_no_success_before_the_final_dot) {
  open_content(large);
  say(1024);
  hear("250 queued\r\n");
  EXPECT_EQ(told(),
            "0.0 transient session block (a reply to content that was not sent whole)\n0 ended\n1 "
            "returned\n"
            "failed transient session block (a reply to content that was not sent whole)\n");
}

TEST_F(SmtpClientEdge,
       defers_a_message_whose_content_was_not_sent_whole_when_the_connection_breaks) {
  // All of the content, but no room for the dot.
  StringBody body{std::string(1021, 'x') + "\r\n"};
  open_content(body);
  EXPECT_EQ(say(1024).size(), 1023u);
  client.fail("connection reset by peer");
  EXPECT_EQ(told(),
            "0.0 transient session block (connection reset by peer)\n0 ended\n1 returned\n"
            "failed transient session block (connection reset by peer)\n");
}

TEST_F(SmtpClientEdge, writes_the_same_octets_whatever_the_room) {
  for (const size_t content_bytes :
       {size_t{0}, size_t{510}, size_t{511}, size_t{512}, size_t{2000}}) {
    for (size_t room = Client::produce_bytes_min; room < Client::produce_bytes_min + 40; ++room) {
      EventRecorder events;
      Client machine("me.example", events);
      StringBody body(content_bytes ? std::string(content_bytes - 2, 'x') + "\r\n" : "", 100);
      machine.offer({.sender = "a@s.example", .recipients = to, .body = &body});
      machine.offer({.sender = "b@s.example", .recipients = to, .body = &second});
      std::string said;
      for (const std::string_view reply :
           {"220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"}) {
        machine.receive({reply.data(), reply.size()});
        std::string out(room, '\0');
        while (const size_t n = machine.produce(out)) said.append(out, 0, n);
      }
      ASSERT_EQ(said,
                "EHLO me.example\r\nMAIL FROM:<a@s.example>\r\nRCPT TO:<x@r.example>\r\nDATA\r\n" +
                    body.octets +
                    ".\r\nMAIL FROM:<b@s.example>\r\nRCPT TO:<x@r.example>\r\nDATA\r\n");
    }
  }
}

TEST_F(SmtpClientEdge,
       sends_no_more_of_an_envelope_whose_MAIL_was_refused_while_it_was_being_sent) {
  const std::vector<std::string_view> many(40, "somebody-with-a-name@r.example");
  client.offer({.sender = "a@s.example", .recipients = many, .body = &large});
  client.offer({.sender = "b@s.example", .recipients = to, .body = &second});
  hear("220 mx\r\n");
  say();
  hear("250-mx\r\n250 PIPELINING\r\n");
  const std::string part = say(600);  // MAIL and some RCPT
  const auto rcpts = static_cast<size_t>(std::ranges::count(part, '\n') - 1);
  ASSERT_LT(rcpts, many.size());
  hear("550 no\r\n");
  EXPECT_EQ(say(), "");
  for (size_t i = 0; i < rcpts; ++i) hear("503 MAIL first\r\n");
  EXPECT_EQ(say(), "MAIL FROM:<b@s.example>\r\nRCPT TO:<x@r.example>\r\nDATA\r\n");
  const std::string lines = told();
  EXPECT_EQ(std::ranges::count(lines, '\n'), 1 + 40 + 1) << lines;
}

TEST_F(SmtpClientEdge, fits_the_longest_command_into_the_least_room) {
  const std::string address = std::string(64, 'a') + "@" + std::string(255, 'b');
  const std::vector<std::string_view> longest{address};
  client.offer({.sender = address,
                .recipients = longest,
                .bytes = UINT64_MAX,
                .needs_8bitmime = true,
                .needs_smtputf8 = true,
                .body = &second});
  hear("220 mx\r\n");
  say();
  hear("250-mx\r\n250-SIZE\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
  EXPECT_EQ(say(Client::produce_bytes_min),
            "MAIL FROM:<" + address + "> SIZE=18446744073709551615 BODY=8BITMIME SMTPUTF8\r\n");
  hear("250 ok\r\n");
  EXPECT_EQ(say(Client::produce_bytes_min), "RCPT TO:<" + address + ">\r\n");
}

TEST_F(SmtpClientEdge, never_writes_line_ends_or_NUL_of_an_address) {
  for (const std::string& bad : {"a@s.example\r\nRSET"s, "a@s.example\nRSET"s, "a\0@s.example"s}) {
    const std::vector<std::string_view> bads{bad};
    EventRecorder events;
    Client machine("me.example", events);
    machine.offer({.sender = bad, .recipients = to, .body = &second});
    machine.offer({.sender = "a@s.example", .recipients = bads, .body = &second});
    std::string said;
    for (const std::string_view reply : {"220 mx\r\n", "250 mx\r\n"}) {
      machine.receive({reply.data(), reply.size()});
      std::string out(1024, '\0');
      said.append(out, 0, machine.produce(out));
    }
    EXPECT_EQ(said, "EHLO me.example\r\n");
    EXPECT_EQ(events.events.size(), 1u + 2u + 2u);
  }
}

TEST_F(SmtpClientEdge, keeps_control_octets_of_a_reply_as_data) {
  hear("554 a\0b\x1b[2J\r\n"s);
  ASSERT_EQ(recorder.events.size(), 1u);
  EXPECT_EQ(recorder.events[0].text, "554 a\0b\x1b[2J"s);
}

TEST_F(SmtpClientEdge, gives_up_an_endless_line_and_an_endless_reply) {
  for (const std::string_view piece : {"220-x", "220-x\r\n"}) {
    EventRecorder events;
    Client machine("me.example", events);
    size_t octets = 0;
    while (!machine.is_closed() && octets < 100000) {
      machine.receive(piece);
      octets += piece.size();
    }
    EXPECT_LT(octets, 2 * Client::reply_bytes_max);
    ASSERT_EQ(events.events.size(), 1u);
    EXPECT_TRUE(events.events[0].line.starts_with("failed transient host greeting ("))
        << events.events[0].line;
  }
}

TEST_F(SmtpClientEdge, takes_no_transaction_once_it_quits_or_has_failed) {
  EXPECT_TRUE(client.wants_transaction());
  client.offer({.sender = "", .recipients = to, .body = &second});
  EXPECT_TRUE(client.wants_transaction());
  client.offer({.sender = "", .recipients = to, .body = &second});
  EXPECT_FALSE(client.wants_transaction());
  client.fail("given up");
  EXPECT_FALSE(client.wants_transaction());
  EXPECT_EQ(told(), "0 returned\n1 returned\nfailed transient host greeting (given up)\n");
  Client other("me.example", recorder);
  other.quit();
  EXPECT_FALSE(other.wants_transaction());
}

TEST_F(SmtpClientEdge, carries_as_many_recipients_as_it_says) {
  const std::vector<std::string_view> many(Client::recipients_max, "x@r.example");
  client.offer({.sender = "a@s.example", .recipients = many, .body = &second});
  hear("220 mx\r\n");
  say();
  hear("250-mx\r\n250 PIPELINING\r\n");
  say();
  hear("250 ok\r\n");
  for (size_t i = 0; i < many.size(); ++i) hear("250 ok\r\n");
  hear("354 go\r\n");
  EXPECT_EQ(say(), "second\r\n.\r\n");
  told();
  hear("250 ok\r\n");
  const std::string lines = told();
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(lines, '\n')), many.size() + 1);
}

using SmtpClientDeath = SmtpClientEdge;

TEST_F(SmtpClientDeath, stops_at_content_that_does_not_end_in_CRLF) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  StringBody cut{"no line end"};
  EXPECT_DEATH(
      {
        open_content(cut);
        say();
      },
      "ends_in_crlf");
}

TEST_F(SmtpClientEdge, a_withheld_dot_leaves_after_its_release_and_the_next_envelope_with_it) {
  StringBody body("hello\r\n");
  client.offer({.sender = "a@s.example", .recipients = to, .withholds_dot = true, .body = &body});
  client.offer({.sender = "b@s.example", .recipients = to, .body = &second});
  hear("220 mx\r\n");
  say();
  hear("250-mx\r\n250 PIPELINING\r\n");
  say();
  hear("250 ok\r\n250 ok\r\n354 go\r\n");
  told();
  EXPECT_EQ(say(), "hello\r\n");
  EXPECT_EQ(told(), "0 withholds its dot\n");
  EXPECT_EQ(say(), "");
  EXPECT_EQ(told(), "") << "it asks once";
  EXPECT_EQ(client.stage(), Stage::block);
  client.release_dot(0);
  EXPECT_TRUE(say().starts_with(".\r\nMAIL FROM:<b@s.example>"));
}

TEST_F(SmtpClientEdge, a_message_whose_dot_was_withheld_was_not_accepted) {
  StringBody body("hello\r\n");
  client.offer({.sender = "a@s.example", .recipients = to, .withholds_dot = true, .body = &body});
  hear("220 mx\r\n");
  say();
  hear("250-mx\r\n250 PIPELINING\r\n");
  say();
  hear("250 ok\r\n250 ok\r\n354 go\r\n");
  say();
  told();
  client.fail("timed out");
  EXPECT_TRUE(told().starts_with("0.0 transient session block"));
}

}  // namespace
}  // namespace sluice::engine::smtp
