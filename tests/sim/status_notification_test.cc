// What senders ask to hear of (RFC 3461), and who tells them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace engine::smtp;

/// A message to two recipients at a.test; client.test is the sender's server.
class StatusNotification : public testing::Test {
 protected:
  StatusNotification() {
    receiver_.script = [this](Phase phase, std::string_view argument) {
      if (phase == Phase::mail || phase == Phase::rcpt) said_.emplace_back(argument);
      const bool is_refused = phase == Phase::rcpt && argument.find("r1@") != argument.npos;
      return is_refused ? Answer{.reply = "550 5.1.1 who?"} : Answer{};
    };
  }
  /// The content of the notices that came of it.
  std::vector<std::string> notices(const DsnRequest& dsn) {
    scenario_.hand_off({.id = "m",
                        .recipients = {"r0@a.test", "r1@a.test"},
                        .notices = engine::Notices::sender,
                        .dsn = dsn,
                        .is_shared = true});
    scenario_.start();
    EXPECT_TRUE(scenario_.run_until_done(std::chrono::minutes(1)));
    std::vector<std::string> notices;
    for (const Delivery& delivery : sender_.deliveries()) notices.push_back(delivery.content);
    return notices;
  }

  Scenario scenario_;
  MailServer& receiver_ = scenario_.add_host("a.test", "192.0.2.1");
  MailServer& sender_ = scenario_.add_host("client.test", "192.0.2.2");
  std::vector<std::string> said_;  // to the receiver
};

TEST_F(StatusNotification, of_success_comes_from_us_when_the_server_would_not_send_it) {
  EXPECT_THAT(notices({.notify = notify_success, .envelope_id = "issue 47"}),
              ElementsAre(AllOf(HasSubstr("\r\nAction: relayed\r\n"),
                                HasSubstr("\r\nFinal-Recipient: rfc822; r0@a.test\r\n"),
                                HasSubstr("\r\nOriginal-Envelope-Id: issue 47\r\n"))));
  EXPECT_THAT(said_, ElementsAre("MAIL FROM:<bounce@client.test> SIZE=182", "RCPT TO:<r0@a.test>",
                                 "RCPT TO:<r1@a.test>"));
}

TEST_F(StatusNotification, of_success_is_left_to_a_server_that_offers_it) {
  receiver_.extensions.push_back("DSN");
  EXPECT_THAT(notices({.notify = notify_success | notify_failure,
                       .returned = ReturnedContent::full,
                       .envelope_id = "issue 47"}),
              ElementsAre(HasSubstr("\r\nAction: failed\r\n")));
  EXPECT_THAT(said_,
              ElementsAre(HasSubstr(" RET=FULL ENVID=issue+2047"),
                          "RCPT TO:<r0@a.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;r0@a.test",
                          "RCPT TO:<r1@a.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;r1@a.test"));
}

TEST_F(StatusNotification, never_comes_where_never_was_asked_for) {
  EXPECT_THAT(notices({.notify = notify_never}), ElementsAre());
}

TEST_F(StatusNotification, of_failure_alone_comes_when_nothing_was_asked_for) {
  EXPECT_THAT(notices({}), ElementsAre(HasSubstr("\r\nAction: failed\r\n")));
}

}  // namespace
}  // namespace sluice::sim
