#include "engine/notices/notice_box.h"

#include <cerrno>

#include "engine/campaign_message.h"
#include "engine/mail/template.h"
#include "engine/recipient.h"
#include "spool/spool_folder.h"
#include "tests/unit/spool/faulty_proactor.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::engine::notices {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A campaign of the spool, read back as the engine reads it.
struct ReadBack {
  std::string id;
  std::vector<std::string> groups;
  struct Mail {
    std::string sender, recipient, wire;
    bool needs_8bit, needs_smtputf8;
  };
  std::vector<Mail> mails;
  Notices notices{};
};

class NoticeBoxTest : public spool::SpoolTest, public NoticeBox::Listener {
 protected:
  void SetUp() override {
    SpoolTest::SetUp();
    ASSERT_TRUE(spool::make_spool_folder(*ring_, spool(), {"campaigns"}));
    proactor_ = std::make_unique<spool::FaultyProactor>(*ring_);
    loop_ = std::make_unique<io::EventLoop>(*proactor_);
    box_ = std::make_unique<NoticeBox>(*loop_, spool(), "mta1.news.example", *this);
  }
  void TearDown() override {
    box_.reset();
    loop_.reset();
    proactor_.reset();
    SpoolTest::TearDown();
  }

  uint64_t post(const std::string& to, const std::string& content = "X: y\r\n\r\n.dot\r\n") {
    return box_->post({to, {.content = content}});
  }
  bool turn_until(const std::function<bool()>& done) {
    for (int turns = 0; turns < 5000 && !done(); ++turns)
      loop_->turn(loop_->now() + milliseconds(1));
    return done();
  }
  bool run_until_idle() {
    return turn_until([&] { return box_->is_idle(); });
  }

  ReadBack read_back(const std::string& name) {
    ReadBack found;
    const auto opened = open(*ring_, spool() + "/campaigns/" + name);
    EXPECT_TRUE(opened) << opened.error().message;
    const spool::Campaign& campaign = *opened->campaign;
    found.id = campaign.info().id;
    EXPECT_NE(campaign.info().uid, 0u);
    EXPECT_EQ(campaign.info().accepted_at.time_since_epoch() / std::chrono::hours(1),
              ring_->wall().time_since_epoch() / std::chrono::hours(1));
    for (const auto& group : campaign.groups()) found.groups.emplace_back(group.name);
    const auto message = CampaignMessage::decode(campaign.message());
    EXPECT_TRUE(message);
    found.notices = message->notices;
    const auto content = mail::Template::decode(message->content);
    EXPECT_TRUE(content);
    for (const auto& [number, entry] : entries(*ring_, campaign)) {
      Recipient recipient;
      EXPECT_TRUE(recipient.decode(spool::octets(entry), content->columns()));
      mail::Merge merge;
      merge.begin(*content, recipient, number);
      ReadBack::Mail& mail = found.mails.emplace_back();
      merge.sender(mail.sender);
      mail.recipient = recipient.address;
      mail.needs_8bit = merge.needs_8bitmime();
      mail.needs_smtputf8 = merge.needs_smtputf8();
      std::array<char, 1000> piece;
      while (const size_t bytes = merge.read(piece)) mail.wire.append(piece.data(), bytes);
    }
    close(*ring_, campaign.file());
    return found;
  }

  void notices_durable(uint64_t position) override {
    EXPECT_GT(position, told_);
    told_ = position;
    files_when_told_.push_back(names("campaigns").size());
  }
  void notices_stalled(const spool::Error& error) override { stalls_.push_back(error); }
  void notices_resumed() override { ++resumes_; }

  uint64_t told_ = 0;
  std::vector<size_t> files_when_told_;
  std::vector<spool::Error> stalls_;
  int resumes_ = 0;
  std::unique_ptr<spool::FaultyProactor> proactor_;
  std::unique_ptr<io::EventLoop> loop_;
  std::unique_ptr<NoticeBox> box_;
};

TEST_F(NoticeBoxTest, notice_is_a_campaign_from_the_null_sender) {
  EXPECT_EQ(post("news@client.example"), 1u);
  EXPECT_FALSE(box_->is_idle());
  box_->flush();
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, 1u);
  ASSERT_EQ(names("campaigns").size(), 1u);
  const ReadBack found = read_back(names("campaigns")[0]);
  EXPECT_TRUE(found.id.starts_with("notice-")) << found.id;
  EXPECT_EQ(found.notices, Notices::sender);
  ASSERT_EQ(found.mails.size(), 1u);
  EXPECT_EQ(found.mails[0].sender, "");
  EXPECT_EQ(found.mails[0].recipient, "news@client.example");
  EXPECT_EQ(found.mails[0].wire, "X: y\r\n\r\n..dot\r\n");
  EXPECT_FALSE(found.mails[0].needs_8bit);
  EXPECT_FALSE(found.mails[0].needs_smtputf8);
}

TEST_F(NoticeBoxTest, nothing_is_told_before_the_file_has_its_name) {
  post("news@client.example");
  box_->flush();
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(files_when_told_, std::vector<size_t>{1});
  EXPECT_EQ(proactor_->count(io::OpKind::sync_directory), 1u);
}

TEST_F(NoticeBoxTest, those_of_a_turn_share_a_file_grouped_by_destination) {
  for (const char* to : {"a@z.example", "b@a.example", "c@z.example", "d@a.example"}) post(to);
  box_->flush();
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, 4u);
  ASSERT_EQ(names("campaigns").size(), 1u);
  const ReadBack found = read_back(names("campaigns")[0]);
  EXPECT_EQ(found.groups, (std::vector<std::string>{"a.example", "z.example"}));
  ASSERT_EQ(found.mails.size(), 4u);
  EXPECT_EQ(found.mails[0].recipient, "b@a.example");
  EXPECT_EQ(found.mails[3].recipient, "c@z.example");
}

TEST_F(NoticeBoxTest, those_that_come_meanwhile_wait_for_the_gather_time_and_share_the_next) {
  post("a@a.example");
  box_->flush();
  for (int i = 0; i < 10; ++i) {
    post("b@a.example");
    box_->flush();
  }
  ASSERT_TRUE(turn_until([&] { return told_ == 1; }));
  EXPECT_FALSE(box_->is_idle());
  proactor_->skipped += NoticeBox::gather_time;
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, 11u);
  EXPECT_EQ(names("campaigns").size(), 2u);
}

TEST_F(NoticeBoxTest, file_holds_so_many_notices_and_the_next_follows_at_once) {
  const size_t count = 2 * NoticeBox::notices_per_file_max + 1;
  for (size_t i = 0; i < count; ++i) post("a@a.example");
  box_->flush();
  ASSERT_TRUE(turn_until([&] { return told_ == 2 * NoticeBox::notices_per_file_max; }));
  proactor_->skipped += NoticeBox::gather_time;
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, count);
  EXPECT_EQ(names("campaigns").size(), 3u);
}

TEST_F(NoticeBoxTest, file_holds_so_many_octets) {
  for (int i = 0; i < 40; ++i) post("a@a.example", std::string(200 * 1024, 'x') + "\r\n");
  box_->flush();
  ASSERT_TRUE(turn_until([&] { return told_ > 0; }));
  EXPECT_LT(told_, 25u);
  proactor_->skipped += NoticeBox::gather_time;
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, 40u);
}

TEST_F(NoticeBoxTest, is_full_while_too_much_waits) {
  const std::string content(200 * 1024, 'x');
  size_t posted = 0;
  while (!box_->is_full() && posted < 1000) {
    post("a@a.example", content);
    ++posted;
  }
  EXPECT_LE(posted * content.size(), NoticeBox::pending_bytes_max + content.size());
  box_->flush();
  ASSERT_TRUE(turn_until([&] { return told_ > 0; }));
  EXPECT_FALSE(box_->is_full());
}

TEST_F(NoticeBoxTest, says_once_that_the_disk_refuses_and_tries_the_same_again) {
  for (const io::OpKind kind : {io::OpKind::write, io::OpKind::sync_directory}) {
    SCOPED_TRACE(static_cast<int>(kind));
    const uint64_t told_before = told_;
    const size_t stalls_before = stalls_.size();
    const auto files_before = names("campaigns").size();
    int refusals = 0;
    proactor_->fault = [&](const io::Op& op) {
      return op.kind == kind && ++refusals <= 3 ? -ENOSPC : 0;
    };
    proactor_->skipped += NoticeBox::gather_time;
    loop_->turn(loop_->now());
    post("a@a.example");
    box_->flush();
    ASSERT_TRUE(turn_until([&] { return box_->is_stalled(); }));
    EXPECT_EQ(told_, told_before);
    for (int second = 0; second < 5 && !box_->is_idle(); ++second) {
      box_->flush();
      proactor_->skipped += seconds(1);
      ASSERT_TRUE(turn_until([&] { return proactor_->in_flight() == 0; }));
    }
    ASSERT_TRUE(run_until_idle());
    EXPECT_GT(refusals, 2);
    EXPECT_EQ(told_, told_before + 1);
    EXPECT_EQ(stalls_.size(), stalls_before + 1);
    EXPECT_EQ(stalls_.back().code, spool::ErrorCode::no_space);
    EXPECT_EQ(resumes_, static_cast<int>(stalls_.size()));
    EXPECT_EQ(names("campaigns").size(), files_before + 1) << "queued twice, or something is left";
  }
}

TEST_F(NoticeBoxTest, says_what_a_notice_needs_of_the_next_hop) {
  box_->post({"a@a.example", {.content = "\u00e9\r\n", .needs_8bit = true}});
  box_->post({"\u00e9@a.example",
              {.content = "To: \u00e9@a.example\r\n", .needs_8bit = true, .needs_smtputf8 = true}});
  box_->flush();
  ASSERT_TRUE(run_until_idle());
  const ReadBack found = read_back(names("campaigns")[0]);
  ASSERT_EQ(found.mails.size(), 2u);
  EXPECT_TRUE(found.mails[0].needs_8bit);
  EXPECT_FALSE(found.mails[0].needs_smtputf8);
  EXPECT_TRUE(found.mails[1].needs_8bit);
  EXPECT_TRUE(found.mails[1].needs_smtputf8);
}

TEST_F(NoticeBoxTest, the_largest_notice_fits_an_entry) {
  std::string content;
  for (size_t i = 0; i < mail::notice_bytes_max / 4; ++i) content += ".\r\n";
  ASSERT_EQ(mail::stuff_dots(content).size(), mail::notice_bytes_max);
  post(std::string(64, 'a') + "@" + std::string(180, 'b') + ".example", content);
  box_->flush();
  ASSERT_TRUE(run_until_idle());
  EXPECT_EQ(told_, 1u);
}

TEST_F(NoticeBoxTest, ends_while_a_file_is_being_written) {
  post("a@a.example");
  box_->flush();
  box_.reset();
  EXPECT_EQ(proactor_->in_flight(), 0u);
  EXPECT_EQ(told_, 0u);
}

}  // namespace
}  // namespace sluice::engine::notices
