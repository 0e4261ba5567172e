#include "engine/campaign_message.h"

#include <gtest/gtest.h>

#include <span>

namespace sluice::engine {
namespace {

spool::Bytes octets(std::string_view text) { return std::as_bytes(std::span(text)); }

CampaignMessage sample(const std::string& content) {
  return {.recipients_need = 3,
          .is_tls_optional = true,
          .notices = Notices::sender,
          .priority = Priority::urgent,
          .dsn = {.notify = smtp::notify_failure | smtp::notify_delay,
                  .returned = smtp::ReturnedContent::full,
                  .envelope_id = "QQ314159"},
          .next_hop = "192.0.2.7:25",
          .source = "news",
          .sender = "bounce+{{id}}@news.example",
          .message_id_domain = "mta1.news.example",
          .columns = {"email", "name", std::string_view()},
          .content = octets(content)};
}

TEST(CampaignMessage, comes_back_as_it_was_encoded) {
  const std::string content(1000, 'c');
  const std::string encoded = sample(content).encode();
  const auto message = CampaignMessage::decode(octets(encoded));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->recipients_need, 3);
  EXPECT_TRUE(message->is_tls_optional);
  EXPECT_EQ(message->next_hop, "192.0.2.7:25");
  EXPECT_EQ(message->source, "news");
  EXPECT_EQ(message->sender, "bounce+{{id}}@news.example");
  EXPECT_EQ(message->message_id_domain, "mta1.news.example");
  EXPECT_EQ(message->notices, Notices::sender);
  EXPECT_EQ(message->priority, Priority::urgent);
  EXPECT_EQ(message->dsn.notify, smtp::notify_failure | smtp::notify_delay);
  EXPECT_EQ(message->dsn.returned, smtp::ReturnedContent::full);
  EXPECT_EQ(message->dsn.envelope_id, "QQ314159");
  EXPECT_EQ(message->columns, (std::vector<std::string_view>{"email", "name", ""}));
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(message->content.data()),
                             message->content.size()),
            content);
}

TEST(CampaignMessage, content_is_not_copied) {
  const std::string encoded = sample("content").encode();
  const auto message = CampaignMessage::decode(octets(encoded));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->content.data() + message->content.size(),
            octets(encoded).data() + encoded.size());
}

TEST(CampaignMessage, cut_short_anywhere_before_its_content_is_damaged) {
  const std::string encoded = sample("").encode();
  for (size_t bytes = 0; bytes < encoded.size(); ++bytes) {
    const auto message =
        CampaignMessage::decode(octets(std::string_view(encoded).substr(0, bytes)));
    ASSERT_FALSE(message) << bytes;
    EXPECT_EQ(message.error(), spool::ErrorCode::damaged);
  }
}

TEST(CampaignMessage, of_a_later_version_is_told_from_a_damaged_one) {
  std::string encoded = sample("x").encode();
  encoded[0] = CampaignMessage::version + 1;
  EXPECT_EQ(CampaignMessage::decode(octets(encoded)).error(), spool::ErrorCode::newer_version);
  encoded[0] = 0;
  EXPECT_EQ(CampaignMessage::decode(octets(encoded)).error(), spool::ErrorCode::damaged);
}

TEST(CampaignMessage, choice_that_this_version_does_not_know_is_damaged) {
  const std::string encoded = sample("x").encode();
  for (const size_t at : {2u, 3u, 4u, 5u}) {
    std::string changed = encoded;
    changed[at] = 16;
    EXPECT_EQ(CampaignMessage::decode(octets(changed)).error(), spool::ErrorCode::damaged) << at;
  }
}

TEST(CampaignMessage, count_of_columns_that_nobody_could_mean_is_damaged) {
  EXPECT_EQ(CampaignMessage::decode(octets({"\x01\0\0\0\0\0\0\0\0\0\xff\xff\xff\x7f", 14})).error(),
            spool::ErrorCode::damaged);
  EXPECT_EQ(CampaignMessage::decode(octets({"\x01\0\0\0\0\0\0\0\0\0\0", 11})).error(),
            spool::ErrorCode::damaged);
}

}  // namespace
}  // namespace sluice::engine
