#include "engine/report/spool_view.h"

#include <map>

#include "engine/letter.h"
#include "engine/mail/template.h"
#include "engine/recipient.h"
#include "spool/mail_name.h"
#include "spool/mail_record.h"
#include "spool/outcome_record.h"
#include "spool/rule_files.h"
#include "tests/unit/spool/spool_test.h"
#include "tools/queue/listing.h"
#include "tools/queue/selection.h"
#include "tools/queue/showing.h"
#include "tools/queue/steering.h"
#include "tools/queue/summary.h"

namespace sluice::tools {
namespace {

using engine::queue::Rule;
using engine::report::SpoolView;
using engine::report::Waiting;
using engine::report::WaitingMail;
using spool::OutcomeKind;

constexpr uint64_t uid = 0xc0ffee0000000001;

class QueueTest : public spool::SpoolTest {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    config_ = engine::Config::defaults();
    config_.spool = spool();
    now_ = ring_->wall();
  }

  /// A newsletter with a column `id`, the recipient's number, and a sender that has it.
  void hand_off(const std::string& id, uint64_t campaign_uid,
                const std::vector<std::pair<std::string, uint32_t>>& destinations) {
    const auto content =
        engine::mail::Template::compile({.message = "From: a@news.example\n\nHello\n",
                                         .path = "m.eml",
                                         .columns = {"email", "id"},
                                         .statistics = {{}, {}},
                                         .sender = "bounce+{{id}}@news.example",
                                         .message_id_domain = "news.example",
                                         .campaign_uid = campaign_uid});
    ASSERT_TRUE(content);
    const std::string encoded = content->encode();
    const engine::CampaignMessage message{.sender = "bounce+{{id}}@news.example",
                                          .columns = {"email", "id"},
                                          .content = std::as_bytes(std::span(encoded))};
    auto writer = spool::CampaignWriter::create(
        *ring_, spool(), {.id = id, .uid = campaign_uid, .accepted_at = now_});
    ASSERT_TRUE(writer);
    uint32_t number = 0;
    for (const auto& [domain, count] : destinations) {
      ASSERT_TRUE((*writer)->begin_group(domain));
      for (uint32_t i = 0; i < count; ++i, ++number) {
        const std::string address = "u" + std::to_string(number) + "@" + domain;
        const std::string field = std::to_string(number);
        std::string entry;
        engine::Recipient{.address = address, .fields = {field}}.encode(entry);
        ASSERT_TRUE((*writer)->add(std::as_bytes(std::span(entry))));
      }
    }
    const std::string octets = message.encode();
    ASSERT_TRUE((*writer)->commit(std::as_bytes(std::span(octets))));
  }

  struct Relayed {
    std::string sender;
    std::vector<std::string> recipients;
    io::Duration age{};
  };
  /// A segment that an engine writes, without an index.
  void relay(const std::vector<Relayed>& messages, uint64_t segment_uid = uid) {
    const spool::MailName name{1, 0, segment_uid, spool::Salt::from(0x1122334455667788)};
    std::vector<std::byte> records, file(spool::file_header_bytes);
    for (const Relayed& message : messages) {
      std::string envelope;
      engine::LetterEnvelope{.sender = message.sender, .message_id = "<1@relay.example>"}.encode(
          envelope);
      std::vector<std::string> entries;
      for (const std::string& address : message.recipients)
        engine::Recipient{.address = address, .fields = {"", ""}}.encode(entries.emplace_back());
      std::vector<spool::MailRecipient> recipients;
      for (size_t i = 0; i < entries.size(); ++i)
        recipients.push_back(
            {std::string_view(message.recipients[i]).substr(message.recipients[i].find('@') + 1),
             std::as_bytes(std::span(entries[i]))});
      const std::string text = "Subject: one\r\n\r\none\r\n";
      const std::array content{std::as_bytes(std::span(text))};
      spool::encode_mail(records, {std::as_bytes(std::span(envelope)), "", recipients, content},
                         now_ - message.age);
    }
    spool::seal_mail(records, name.salt, file.size(), 0, [](uint64_t, size_t, const auto&) {});
    spool::encode_file_header(file, {spool::FileKind::mail, name.salt});
    file.insert(file.end(), records.begin(), records.end());
    for (const char* folder : {"/mail", "/campaigns"})
      std::filesystem::create_directories(spool() + folder);
    spool::write_file(spool() + "/mail/" + name.text(), file);
  }

  void write_journal(std::vector<spool::Outcome> outcomes) {
    std::vector<std::byte> octets;
    spool::SegmentWriter writer(octets, spool::Salt::from(0x1122334455667788));
    writer.file_header(spool::FileKind::journal);
    spool::encode_commit(writer, 1, outcomes);
    std::filesystem::create_directory(spool() + "/journal");
    spool::write_file(spool() + "/journal/0000000001-000-1122334455667788", octets);
  }
  spool::Outcome outcome(uint32_t number, OutcomeKind kind, uint16_t attempt = 1,
                         io::Duration next = {}) {
    return {.campaign = uid,
            .recipient = number,
            .attempt = attempt,
            .kind = kind,
            .next_attempt = now_ + next,
            .refusals = kind == OutcomeKind::waited ? attempt : uint16_t{0},
            .at = now_};
  }

  std::unique_ptr<SpoolView> view() {
    auto opened = SpoolView::open(*ring_, config_);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  static Selection select(const QueueQuestion& question) {
    auto made = Selection::make(question);
    EXPECT_TRUE(made) << made.error();
    return std::move(*made);
  }
  uint64_t count(const QueueQuestion& question) {
    const auto view = this->view();
    const Selection selection = select(question);
    uint64_t found = 0;
    for (const WaitingMail& mail : view->mails())
      for (const engine::Range range : selection.ranges(*ring_, mail))
        mail.visit(range, [&](const Waiting&, size_t) { ++found; });
    return found;
  }
  std::map<uint32_t, std::string> states(uint64_t of = uid) {
    const auto view = this->view();
    std::map<uint32_t, std::string> out;
    for (const WaitingMail& mail : view->mails()) {
      if (mail.campaign().info().uid != of) continue;
      mail.visit({0, UINT32_MAX}, [&](const Waiting& waiting, size_t) {
        out[waiting.number] = std::string(name(waiting.state)) + " " +
                              std::to_string(waiting.attempts) + (waiting.is_shared ? "s" : "");
      });
    }
    return out;
  }
  Steered steer(const QueueQuestion& question, Rule::Action action, bool dry_run = false) {
    const auto view = this->view();
    Selection selection = select(question);
    const auto steered = tools::steer(*view, selection, action, dry_run);
    EXPECT_TRUE(steered);
    return steered.value_or(Steered{});
  }

  engine::Config config_;
  io::WallTime now_{};
};

TEST_F(QueueTest, each_recipient_waits_as_journal_rules_and_configuration_say) {
  hand_off("may", uid, {{"a.example", 4}, {"b.example", 2}, {"c.example", 2}});
  write_journal({outcome(0, OutcomeKind::delivered),
                 outcome(1, OutcomeKind::deferred, 2, std::chrono::hours(1)),
                 outcome(2, OutcomeKind::intent, 3),
                 outcome(4, OutcomeKind::waited, 7, std::chrono::hours(1))});
  steer({.destination = "c.example"}, Rule::Action::hold);
  using States = std::map<uint32_t, std::string>;
  EXPECT_EQ(states(), (States{{1, "deferred 2"},
                              {2, "in doubt 3"},
                              {3, "waiting 0"},
                              {4, "deferred 7s"},
                              {5, "deferred 7s"},
                              {6, "held 0"},
                              {7, "held 0"}}));
  steer({.ids = {"c0ffee0000000001.5"}}, Rule::Action::cancel);
  EXPECT_EQ(states().at(5), "cancelled 7s");
  EXPECT_EQ(states().at(4), "deferred 7s");
}

TEST_F(QueueTest, what_waits_with_others_is_shared_by_all_of_a_route) {
  hand_off("may", uid, {{"a.example", 2}, {"b.example", 2}});
  write_journal({outcome(0, OutcomeKind::waited, 3, std::chrono::hours(1))});
  EXPECT_EQ(states().at(1), "deferred 3s");
  EXPECT_EQ(states().at(2), "waiting 0") << "another domain, by its own MX";
  ASSERT_FALSE(config_.override_next_hop("127.0.0.1:25"));
  EXPECT_EQ(states().at(2), "deferred 3s");
}

TEST_F(QueueTest, of_what_a_route_waited_for_the_most_attempts_count) {
  hand_off("may", uid, {{"a.example", 2}, {"b.example", 2}});
  const io::Duration later = std::chrono::hours(1);
  write_journal(
      {outcome(0, OutcomeKind::waited, 9, later), outcome(1, OutcomeKind::waited, 3, later),
       outcome(2, OutcomeKind::waited, 3, later), outcome(3, OutcomeKind::waited, 9, later)});
  for (const auto& [number, state] : states()) EXPECT_EQ(state, "deferred 9s") << number;
}

TEST_F(QueueTest, who_was_tried_alone_has_waited_with_the_others_since_its_time_came) {
  hand_off("may", uid, {{"a.example", 3}});
  write_journal({outcome(0, OutcomeKind::deferred, 4, std::chrono::hours(-1)),
                 outcome(1, OutcomeKind::deferred, 4, std::chrono::hours(2)),
                 outcome(2, OutcomeKind::waited, 1, std::chrono::hours(1))});
  EXPECT_EQ(states().at(0), "deferred 5");
  EXPECT_EQ(states().at(1), "deferred 4") << "not due when the connection was refused";
  const auto next = view()->mails().front().find(0)->next_attempt;
  ASSERT_TRUE(next);
  EXPECT_LE(now_ + std::chrono::hours(1) - *next, std::chrono::milliseconds(1));
}

TEST_F(QueueTest, words_of_fates_are_passed_over_whole) {
  hand_off("may", uid, {{"a.example", 200}, {"b.example", 5}});
  std::vector<spool::Outcome> outcomes;
  for (uint32_t i = 0; i < 195; ++i) outcomes.push_back(outcome(i, OutcomeKind::delivered));
  outcomes.push_back(outcome(201, OutcomeKind::failed));
  write_journal(outcomes);
  std::vector<uint32_t> left;
  for (const auto& [number, state] : states()) left.push_back(number);
  EXPECT_EQ(left, (std::vector<uint32_t>{195, 196, 197, 198, 199, 200, 202, 203, 204}));
}

TEST_F(QueueTest, recipients_are_selected_by_all_that_is_said) {
  hand_off("may", uid, {{"a.example", 3}, {"x.a.example", 2}});
  hand_off("june", 2, {{"a.example", 3}});
  EXPECT_EQ(count({}), 8u);
  EXPECT_EQ(count({.campaign = "may"}), 5u);
  EXPECT_EQ(count({.destination = "A.Example"}), 6u);
  EXPECT_EQ(count({.destination = "*.a.example"}), 2u);
  EXPECT_EQ(count({.recipient = "u1@A.example"}), 2u);
  EXPECT_EQ(count({.recipient = "nobody@a.example"}), 0u);
  EXPECT_EQ(count({.campaign = "june", .recipient = "u1@a.example"}), 1u);
  EXPECT_EQ(count({.sender = "bounce+{{id}}@news.example"}), 8u);
  EXPECT_EQ(count({.sender = "bounce+4@news.example"}), 1u);
  EXPECT_EQ(count({.sender = "other+4@news.example"}), 0u);
  EXPECT_EQ(count({.ids = {"c0ffee0000000001.4", "0000000000000002"}}), 4u);
}

TEST_F(QueueTest, relayed_mail_waits_as_campaigns_do) {
  relay({{"a@news.example", {"ann@x.example", "bob@x.example", "cid@y.example"}},
         {"b@news.example", {"dan@x.example"}}});
  write_journal({outcome(0, OutcomeKind::delivered),
                 outcome(1, OutcomeKind::deferred, 2, std::chrono::hours(1)),
                 outcome(3, OutcomeKind::intent, 1)});
  using States = std::map<uint32_t, std::string>;
  EXPECT_EQ(states(), (States{{1, "deferred 2"}, {2, "waiting 0"}, {3, "in doubt 1"}}));
  EXPECT_EQ(count({.destination = "x.example"}), 2u);
  EXPECT_EQ(count({.recipient = "bob@X.example"}), 1u);
  EXPECT_EQ(count({.recipient = "ann@x.example"}), 0u) << "it was delivered";
  EXPECT_EQ(count({.sender = "a@news.example"}), 2u);
  EXPECT_EQ(count({.sender = "<>"}), 0u);
  EXPECT_EQ(count({.ids = {"c0ffee0000000001.3"}}), 1u);
  EXPECT_EQ(steer({.sender = "b@news.example"}, Rule::Action::cancel).recipients, 1u);
  EXPECT_EQ(states().at(3), "cancelled 1");
}

TEST_F(QueueTest, each_relayed_message_expires_at_its_own_time) {
  const io::Duration day = std::chrono::hours(24);
  relay({{"a@news.example", {"ann@x.example"}, 3 * day}, {"a@news.example", {"ann@x.example"}}});
  const auto view = this->view();
  const WaitingMail& mail = view->mails().front();
  const io::Duration apart = mail.expires(1, mail.group_of(1)) - mail.expires(0, mail.group_of(0));
  EXPECT_EQ(apart, 3 * day);
  const std::string text = queue_summary(*view, select({}), {});
  EXPECT_NE(text.find("3d"), text.npos) << text;
}

TEST_F(QueueTest, relayed_mail_that_joins_those_who_wait_has_made_no_attempt_but_waits_with_them) {
  relay({{"a@news.example", {"ann@x.example"}}, {"a@news.example", {"bob@x.example"}}});
  write_journal({outcome(0, OutcomeKind::waited, 3, std::chrono::hours(1))});
  EXPECT_EQ(states().at(0), "deferred 3s");
  EXPECT_EQ(states().at(1), "deferred 0s");
  relay({{"a@news.example", {"cid@x.example"}}}, 2);
  EXPECT_EQ(states(2).at(0), "deferred 0s") << "it came to another shard";
}

TEST_F(QueueTest, a_relayed_message_is_shown_with_its_sender) {
  relay({{"a@news.example", {"ann@x.example"}}, {"", {"bob@x.example"}}});
  const auto view = this->view();
  const auto shown = queue_show(*view, "c0ffee0000000001.0", false);
  ASSERT_TRUE(shown);
  for (const char* part : {"ann@x.example", "a@news.example", "<1@relay.example>", "x.example"})
    EXPECT_NE(shown->find(part), shown->npos) << part << " in " << *shown;
  EXPECT_NE(queue_show(*view, "c0ffee0000000001.1", false)->find("<>"), std::string::npos);
  EXPECT_TRUE(queue_show(*view, "mail-c0ffee0000000001", true));
  const std::string list = queue_list(*view, select({}), 10, false);
  EXPECT_NE(list.find("bob@x.example"), list.npos) << list;
}

TEST_F(QueueTest, questions_that_cannot_be_meant_are_refused) {
  for (const QueueQuestion& question :
       {QueueQuestion{.ids = {"17"}}, QueueQuestion{.ids = {"c0ffee0000000001."}},
        QueueQuestion{.ids = {"c0ffee0000000001.x"}}, QueueQuestion{.ids = {"c0ffee00000000010"}},
        QueueQuestion{.destination = "a b"}, QueueQuestion{.recipient = "ann"},
        QueueQuestion{.campaign = "a\nb"}})
    EXPECT_FALSE(Selection::make(question));
}

TEST_F(QueueTest, a_word_counts_whom_it_changes_and_is_a_rule_of_the_spool) {
  hand_off("may", uid, {{"a.example", 4}, {"b.example", 2}});
  write_journal({outcome(0, OutcomeKind::delivered),
                 outcome(1, OutcomeKind::deferred, 1, std::chrono::hours(1)),
                 outcome(2, OutcomeKind::deferred, 1, -std::chrono::hours(1))});
  EXPECT_EQ(steer({.destination = "a.example"}, Rule::Action::hold, true).recipients, 3u);
  EXPECT_FALSE(std::filesystem::exists(spool() + "/rules")) << "it was only a look";
  EXPECT_EQ(steer({}, Rule::Action::retry).recipients, 1u) << "the other one is due";
  const Steered held = steer({.destination = "a.example"}, Rule::Action::hold);
  EXPECT_EQ(held.recipients, 3u);
  EXPECT_EQ(steer({}, Rule::Action::hold).recipients, 2u) << "some are held already";
  EXPECT_EQ(steer({.destination = "b.example"}, Rule::Action::release).recipients, 2u);
  EXPECT_EQ(steer({.recipient = "u5@b.example"}, Rule::Action::cancel).recipients, 1u);
  const auto rules = spool::read_rules(*ring_, spool());
  ASSERT_TRUE(rules);
  ASSERT_EQ(rules->files.size(), 5u);
  EXPECT_EQ(rules->files[1].name, held.rule);
  const auto cancel = Rule::decode("", rules->files[4].text);
  ASSERT_TRUE(cancel);
  EXPECT_EQ(cancel->recipients, (std::vector<Rule::Stretch>{{uid, 5, 5}}));
}

TEST_F(QueueTest, a_word_that_changes_nothing_is_not_said) {
  hand_off("may", uid, {{"a.example", 2}});
  EXPECT_EQ(steer({.campaign = "june"}, Rule::Action::cancel).rule, "");
  EXPECT_EQ(steer({}, Rule::Action::release).rule, "");
  EXPECT_EQ(steer({.recipient = "nobody@a.example"}, Rule::Action::hold).rule, "");
  EXPECT_NE(steer({.destination = "later.example"}, Rule::Action::hold).rule, "")
      << "mail that comes later is meant as well";
  EXPECT_NE(steer({.destination = "later.example"}, Rule::Action::release).rule, "")
      << "or it would be held for ever";
}

TEST_F(QueueTest, tables_tell_how_many_more_there_are) {
  hand_off("may", uid, {{"a.example", 3}, {"b.example", 2}, {"c.example", 1}});
  const auto view = this->view();
  const std::string list = queue_list(*view, select({}), 4, false);
  EXPECT_NE(list.find("u3@b.example"), std::string::npos) << list;
  EXPECT_EQ(list.find("u4@b.example"), std::string::npos) << list;
  EXPECT_NE(list.find("and 2 more"), std::string::npos) << list;
  const std::string summary = queue_summary(*view, select({}), {.rows_max = 2});
  EXPECT_LT(summary.find("a.example"), summary.find("b.example")) << summary;
  EXPECT_EQ(summary.find("c.example"), std::string::npos) << summary;
  EXPECT_NE(summary.find("and 1 more destination"), std::string::npos) << summary;
}

TEST_F(QueueTest, shows_one_recipient_with_the_rule_that_holds_it) {
  hand_off("may", uid, {{"a.example", 3}});
  const Steered held = steer({.destination = "a.example"}, Rule::Action::hold);
  const auto view = this->view();
  const auto shown = queue_show(*view, "c0ffee0000000001.2", false);
  ASSERT_TRUE(shown);
  for (const std::string& part :
       {std::string("u2@a.example"), std::string("bounce+2@news.example"),
        std::string("sluice queue hold --destination a.example"), held.rule,
        std::string("sluice log --id c0ffee0000000001.2 --history")})
    EXPECT_NE(shown->find(part), std::string::npos) << *shown;
  EXPECT_TRUE(queue_show(*view, "may", true));
  EXPECT_FALSE(queue_show(*view, "c0ffee0000000001.3", false));
  EXPECT_FALSE(queue_show(*view, "june", false));
}

TEST_F(QueueTest, no_spool_is_told_and_none_is_made) {
  const auto none = SpoolView::open(*ring_, config_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, spool::ErrorCode::missing);
  EXPECT_FALSE(std::filesystem::exists(spool()));
}

TEST_F(QueueTest, a_rule_that_cannot_be_read_is_told) {
  hand_off("may", uid, {{"a.example", 1}});
  ASSERT_TRUE(spool::hand_off_rule(*ring_, spool(), "{\"action\":\"hold\"}"));
  const auto view = this->view();
  EXPECT_EQ(view->problems().size(), 1u);
  EXPECT_TRUE(view->rules().empty());
}

}  // namespace
}  // namespace sluice::tools
