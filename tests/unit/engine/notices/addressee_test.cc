#include "engine/notices/addressee.h"

#include <gtest/gtest.h>

namespace sluice::engine::notices {
namespace {

using enum mail::NoticeKind;
using namespace smtp;

constexpr std::string_view postmaster = "Postmaster@news.example";

Subject about(mail::NoticeKind kind, Notify notify, std::string_view sender) {
  return {.kind = kind,
          .notify = notify,
          .policy = Notices::sender,
          .sender = sender,
          .recipient = "bob@example.net"};
}

TEST(Notify, without_it_failures_and_delays_are_told) {
  EXPECT_TRUE(wants_notice(failed, 0));
  EXPECT_TRUE(wants_notice(delayed, 0));
  EXPECT_FALSE(wants_notice(relayed, 0));
}

TEST(Notify, is_obeyed_to_the_letter) {
  for (const auto kind : {failed, delayed, relayed})
    for (unsigned notify = 1; notify < 16; ++notify) {
      const unsigned wanted = kind == failed    ? notify_failure
                              : kind == delayed ? notify_delay
                                                : notify_success;
      EXPECT_EQ(wants_notice(kind, static_cast<Notify>(notify)),
                (notify & notify_never) == 0 && (notify & wanted) != 0)
          << static_cast<int>(kind) << " " << notify;
    }
}

TEST(Addressee, is_the_sender_in_normal_form) {
  const auto to = addressee_of(about(failed, 0, "News@CLIENT.example"), postmaster);
  EXPECT_EQ(to.whom, Whom::sender);
  EXPECT_EQ(to.address, "News@client.example");
}

TEST(Addressee, is_nobody_when_the_campaign_tells_its_log_only) {
  Subject subject = about(failed, 0, "news@client.example");
  subject.policy = Notices::log;
  EXPECT_EQ(addressee_of(subject, postmaster).whom, Whom::nobody);
}

TEST(Addressee, is_nobody_when_no_notice_is_wanted) {
  EXPECT_EQ(addressee_of(about(failed, notify_never, "news@client.example"), postmaster).whom,
            Whom::nobody);
  EXPECT_EQ(addressee_of(about(failed, notify_never, ""), postmaster).whom, Whom::nobody);
}

TEST(Addressee, of_a_failed_notice_is_the_postmaster) {
  const auto to = addressee_of(about(failed, 0, ""), postmaster);
  EXPECT_EQ(to.whom, Whom::postmaster);
  EXPECT_EQ(to.address, "Postmaster@news.example");
  EXPECT_EQ(addressee_of(about(failed, 0, ""), "").whom, Whom::nobody);
}

TEST(Addressee, of_a_delayed_or_delivered_notice_is_nobody) {
  EXPECT_EQ(addressee_of(about(delayed, 0, ""), postmaster).whom, Whom::nobody);
  EXPECT_EQ(addressee_of(about(relayed, notify_success, ""), postmaster).whom, Whom::nobody);
}

TEST(Addressee, of_what_fails_on_its_way_to_the_postmaster_is_nobody) {
  Subject subject = about(failed, 0, "");
  subject.recipient = "postmaster@NEWS.example";
  EXPECT_EQ(addressee_of(subject, postmaster).whom, Whom::nobody);
}

TEST(Addressee, of_a_sender_that_is_no_address_is_the_postmaster) {
  for (const char* sender : {"root", "a b@c.example", "@", "x@", "a@b\r\nc"})
    EXPECT_EQ(addressee_of(about(failed, 0, sender), postmaster).whom, Whom::postmaster) << sender;
}

}  // namespace
}  // namespace sluice::engine::notices
