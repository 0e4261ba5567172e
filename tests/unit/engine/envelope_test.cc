#include "engine/envelope.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace sluice::engine {
namespace {

using Joined = Envelope::Joined;

/// A campaign with the columns `email`, `name`, `note`.
struct Campaign {
  explicit Campaign(std::string_view to = "readers:;") {
    const std::string text = fmt::format(
        "From: a@b.example\nTo: {}\nMessage-ID: <1@b.example>\nSubject: s\n\nbody\n", to);
    auto content = mail::Template::compile({.message = text,
                                            .path = "m.eml",
                                            .columns = {"email", "name", "note"},
                                            .statistics = {{}, {}, {}},
                                            .sender = "bounce@b.example",
                                            .message_id_domain = "b.example",
                                            .campaign_uid = 0xabc});
    if (!content) ADD_FAILURE() << content.error()[0].text;
    mailing = std::make_shared<Mailing>(nullptr, CampaignMessage{}, std::move(*content),
                                        spool::Progress{});
  }

  Joined add(Envelope& envelope, uint32_t number, std::string_view address, uint8_t flags = 0,
             size_t note_bytes = 0) const {
    const std::string note(note_bytes, 'n');
    std::string entry;
    Recipient{.flags = flags, .address = address, .fields = {"Ann", note}}.encode(entry);
    return envelope.add(*mailing, {.number = number}, std::as_bytes(std::span(entry)), nullptr);
  }

  std::shared_ptr<Mailing> mailing;
};

std::vector<std::string> addresses(Envelope& envelope) {
  const smtp::Transaction transaction = envelope.transaction();
  return {transaction.recipients.begin(), transaction.recipients.end()};
}

std::string content(Envelope& envelope) {
  std::string out(4096, '\0');
  out.resize(envelope.transaction().body->read(out));
  return out;
}

TEST(Envelope, takes_many_to_whom_the_same_message_goes) {
  const Campaign campaign;
  Envelope envelope;
  EXPECT_TRUE(envelope.is_free());
  EXPECT_EQ(campaign.add(envelope, 3, "ann@a.example"), Joined::yes);
  EXPECT_EQ(addresses(envelope), std::vector<std::string>{"ann@a.example"});
  EXPECT_EQ(campaign.add(envelope, 5, "bob@a.example"), Joined::yes);
  EXPECT_EQ(campaign.add(envelope, 9, "cyd@a.example"), Joined::yes);
  EXPECT_EQ(addresses(envelope),
            (std::vector<std::string>{"ann@a.example", "bob@a.example", "cyd@a.example"}));
  EXPECT_EQ(envelope.transaction().sender, "bounce@b.example");
  EXPECT_EQ(envelope.item(1).number, 5u);
  envelope.release();
  EXPECT_TRUE(envelope.is_free());
}

TEST(Envelope, takes_one_to_whom_a_message_of_his_own_goes) {
  const Campaign campaign("{{name}} <{{email}}>");
  Envelope envelope;
  EXPECT_EQ(campaign.add(envelope, 0, "ann@a.example"), Joined::yes);
  EXPECT_EQ(campaign.add(envelope, 1, "bob@a.example"), Joined::no);
  EXPECT_NE(content(envelope).find("To: Ann <ann@a.example>\r\n"), std::string::npos);
}

TEST(Envelope, takes_one_where_the_message_brings_no_To_or_Message_ID_and_gets_one_for_each) {
  for (const std::string header : {"To: readers:;\n", "Message-ID: <1@b.example>\n"}) {
    auto t = mail::Template::compile({.message = "From: a@b.example\n" + header + "\nbody\n",
                                      .path = "m.eml",
                                      .columns = {"email"},
                                      .statistics = {{}},
                                      .sender = "bounce@b.example",
                                      .message_id_domain = "b.example"});
    ASSERT_TRUE(t);
    EXPECT_TRUE(t->is_personal()) << header;
  }
}

TEST(Envelope, mixes_no_campaigns) {
  const Campaign campaign, other;
  Envelope envelope;
  EXPECT_EQ(campaign.add(envelope, 0, "ann@a.example"), Joined::yes);
  EXPECT_EQ(other.add(envelope, 0, "bob@a.example"), Joined::no);
}

/// A peer without SMTPUTF8 refuses a transaction that needs it as a whole.
TEST(Envelope, asks_for_SMTPUTF8_for_nobody_who_does_not_need_it) {
  const Campaign campaign;
  const uint8_t utf8 = Recipient::needs_smtputf8 | Recipient::needs_8bit;
  Envelope envelope;
  EXPECT_EQ(campaign.add(envelope, 0, "ann@a.example", Recipient::is_plain), Joined::yes);
  EXPECT_EQ(campaign.add(envelope, 1, "b\u00f6b@a.example", utf8), Joined::no);
  EXPECT_EQ(campaign.add(envelope, 2, "cyd@a.example", Recipient::needs_8bit), Joined::yes);
  EXPECT_FALSE(envelope.transaction().needs_smtputf8);
  envelope.release();
  EXPECT_EQ(campaign.add(envelope, 1, "b\u00f6b@a.example", utf8), Joined::yes);
  EXPECT_EQ(campaign.add(envelope, 2, "cyd@a.example"), Joined::no);
  EXPECT_EQ(campaign.add(envelope, 3, "d\u00f6d@a.example", utf8), Joined::yes);
  EXPECT_TRUE(envelope.transaction().needs_smtputf8);
}

TEST(Envelope, describes_each_by_himself_and_gives_the_content_from_its_beginning_again) {
  const Campaign campaign;
  Envelope envelope;
  for (uint32_t i = 0; i < 3; ++i) campaign.add(envelope, i, fmt::format("r{}@a.example", i));
  const std::string whole = content(envelope);
  EXPECT_TRUE(whole.starts_with("From: a@b.example\r\n")) << whole;
  for (const unsigned i : {2u, 0u, 1u, 1u}) {
    report::LogEntry entry;
    std::string message_id;
    envelope.at_hand(i).describe(entry, message_id);
    EXPECT_EQ(entry.recipient, fmt::format("r{}@a.example", i));
    EXPECT_EQ(envelope.at_hand(i).item.number, i);
    EXPECT_EQ(message_id, "<1@b.example>");
  }
  EXPECT_EQ(content(envelope), whole);
}

TEST(Envelope, knows_who_has_ended) {
  const Campaign campaign;
  Envelope envelope;
  for (uint32_t i = 0; i < 3; ++i) campaign.add(envelope, i, fmt::format("r{}@a.example", i));
  envelope.end(1);
  EXPECT_FALSE(envelope.has_ended(0));
  EXPECT_TRUE(envelope.has_ended(1));
  envelope.release();
  campaign.add(envelope, 4, "again@a.example");
  EXPECT_FALSE(envelope.has_ended(0));
}

TEST(Envelope, gives_up_its_last_and_takes_others_instead) {
  const Campaign campaign;
  Envelope envelope;
  for (uint32_t i = 0; i < 3; ++i) campaign.add(envelope, i, fmt::format("r{}@a.example", i));
  envelope.drop_last();
  envelope.drop_last();
  EXPECT_EQ(addresses(envelope), std::vector<std::string>{"r0@a.example"});
  EXPECT_EQ(campaign.add(envelope, 7, "r7@a.example"), Joined::yes);
  EXPECT_EQ(addresses(envelope), (std::vector<std::string>{"r0@a.example", "r7@a.example"}));
}

TEST(Envelope, keeps_no_fields_of_several_and_is_bounded_whatever_the_list) {
  const Campaign campaign;
  Envelope envelope;
  for (uint32_t i = 0; i < 100; ++i)
    ASSERT_EQ(campaign.add(envelope, i, fmt::format("r{}@a.example", i), 0, 1 << 20), Joined::yes);
  EXPECT_LT(envelope.entry(99).size(), 40u);
  const std::string longest = std::string(64, 'l') + "@" + std::string(250, 'd') + ".example";
  uint32_t more = 0;
  while (campaign.add(envelope, 100 + more, longest) == Joined::yes) ++more;
  EXPECT_GT(more, 100u);
  EXPECT_LT(more, 220u);
}

TEST(Envelope, tells_a_damaged_entry_and_stays_as_it_was) {
  const Campaign campaign;
  Envelope envelope;
  const std::string torn(
      "\x00\x09"
      "ann@",
      6);
  const auto damaged = std::as_bytes(std::span(torn));
  EXPECT_EQ(envelope.add(*campaign.mailing, {}, damaged, nullptr), Joined::damaged);
  EXPECT_TRUE(envelope.is_free());
  EXPECT_EQ(campaign.add(envelope, 0, "ann@a.example"), Joined::yes);
  EXPECT_EQ(envelope.add(*campaign.mailing, {}, damaged, nullptr), Joined::damaged);
  EXPECT_EQ(addresses(envelope), std::vector<std::string>{"ann@a.example"});
}

}  // namespace
}  // namespace sluice::engine
