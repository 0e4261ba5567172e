// Notices of every kind, written out for tests/integration/notices.py: there, programs that others
// wrote say what they understand of them, and a server receives them.

#include <fstream>

#include "engine/notices/addressee.h"
#include "engine/notices/notice_box.h"
#include "engine/report/json_writer.h"
#include "spool/spool_folder.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::engine::notices {
namespace {

using mail::FailureCause;
using mail::NoticeKind;
using mail::NoticeRecipient;
using smtp::notify_delay;
using smtp::notify_failure;
using smtp::notify_success;
using smtp::Stage;

struct Sample {
  std::string name;
  NoticeKind kind = NoticeKind::failed;
  std::vector<NoticeRecipient> recipients;
  std::string to = "news@client.example";
  mail::ReturnedMessage returned = {
      "From: News <news@client.example>\r\nSubject: no. 47\r\n"
      "Message-ID: <47.1@client.example>\r\n\r\n",
      false};
};

io::WallTime at(int64_t s) { return io::WallTime(std::chrono::seconds(s)); }

NoticeRecipient refused(std::string_view address, std::string_view text, uint16_t code = 550,
                        smtp::EnhancedCode enhanced = {5, 1, 1}) {
  return {.address = address,
          .id = "5f3a.1",
          .attempts = 1,
          .last_attempt = at(1795238864),
          .retry_until = at(1795670864),
          .stage = Stage::rcpt,
          .host = "mx1.example.net",
          .remote = "192.0.2.7:25",
          .code = code,
          .enhanced = enhanced,
          .text = text};
}

NoticeRecipient unanswered(std::string_view address, Stage stage, FailureCause cause) {
  return {.address = address,
          .cause = cause,
          .attempts = 9,
          .last_attempt = at(1795638864),
          .retry_until = at(1795670864),
          .stage = stage,
          .host = "mx.hole.example",
          .reason = "timed out after 300 s"};
}

constexpr std::string_view hostile =
    "550-5.1.1 \x1b[2J\r\r\x80\xff <x@y.example>\n"
    "550-Action: delivered; Final-Recipient: rfc822; other@y.example\n"
    "550 5.1.1 --=_ .\t.";

std::vector<Sample> samples() {
  static const std::string long_line = "550 5.7.1 " + std::string(2000, 'x') + " refused";
  const auto expired = unanswered("eve@hole.example", Stage::connect, FailureCause::expired);
  auto with_orcpt = refused("bob@example.net", "550 5.1.1 no such user");
  with_orcpt.original_recipient = "rfc822;Robert@lists.example";
  auto utf8 = refused("b\u00f6b@example.net", "550 5.1.1 no such user");
  std::vector<Sample> all = {
      {"failed", NoticeKind::failed, {refused("bob@example.net", "550 5.1.1 no such user")}},
      {"failed-many",
       NoticeKind::failed,
       {refused("bob@example.net", "550-5.1.1 no such\n550 5.1.1 user"), expired,
        refused("\"a b\"@example.net", "554 5.7.1 spam", 554, {5, 7, 1})}},
      {"failed-orcpt", NoticeKind::failed, {with_orcpt}},
      {"failed-hostile", NoticeKind::failed, {refused("bob@example.net", hostile)}},
      {"failed-long", NoticeKind::failed, {refused("bob@example.net", long_line)}},
      {"expired", NoticeKind::failed, {expired}},
      {"in-doubt",
       NoticeKind::failed,
       {unanswered("eve@hole.example", Stage::final_dot, FailureCause::in_doubt)}},
      {"delayed",
       NoticeKind::delayed,
       {expired, refused("bob@example.net", "452 4.2.2 full", 452, {4, 2, 2})}},
      {"relayed", NoticeKind::relayed, {refused("bob@example.net", "250 ok", 250, {2, 0, 0})}},
      {"failed-utf8", NoticeKind::failed, {utf8, refused("bob@example.net", "550 5.1.1 no")}},
      {"to-utf8", NoticeKind::failed, {utf8}, "n\u00e9ws@client.example"},
      {"returned-whole", NoticeKind::failed, {refused("bob@example.net", "550 5.1.1 no")}},
      {"returned-8bit", NoticeKind::failed, {refused("bob@example.net", "550 5.1.1 no")}},
      {"returned-8bit-header", NoticeKind::failed, {refused("bob@example.net", "550 5.1.1 no")}}};
  for (Sample& sample : all) {
    if (sample.name == "returned-whole")
      sample.returned = {"Subject: x\r\n\r\n.\r\n..\r\nFrom here.\r\n", true};
    if (sample.name == "returned-8bit") sample.returned = {"Subject: x\r\n\r\n\u00e9\r\n", true};
    if (sample.name == "returned-8bit-header")
      sample.returned = {"Subject: \u00e9\r\n\r\nx\r\n", true};
  }
  return all;
}

/// What a program that reads the notice shall find in it.
std::string expectation(const Sample& sample, const mail::ComposedNotice& notice) {
  std::string out;
  report::JsonObject object(out);
  constexpr std::string_view actions[] = {"failed", "delayed", "relayed"};
  object.string("action", actions[static_cast<size_t>(sample.kind)]);
  object.string("to", sample.to);
  object.begin("is_whole") += sample.returned.is_whole ? "true" : "false";
  object.string("returned", sample.returned.octets);
  object.begin("needs_8bit") += notice.needs_8bit ? "true" : "false";
  object.begin("recipients") += '[';
  for (const NoticeRecipient& recipient : sample.recipients) {
    if (!out.ends_with('[')) out += ',';
    report::JsonObject one(out);
    one.string("address", recipient.address);
    one.string("original", recipient.original_recipient);
    one.string("text", recipient.text);
    one.end();
  }
  out += ']';
  object.end();
  return out;
}

class NoticeSamples : public spool::SpoolTest, public NoticeBox::Listener {
 protected:
  void notices_durable(uint64_t position) override { durable_ = position; }
  void notices_stalled(const spool::Error& error) override { FAIL() << error.message; }
  void notices_resumed() override {}
  uint64_t durable_ = 0;
};

TEST_F(NoticeSamples, are_composed_and_queued) {
  const char* wanted = std::getenv("SLUICE_NOTICE_SAMPLES");
  const std::string folder = wanted != nullptr ? wanted : folder_;
  const std::string spool_folder = folder + "/spool";
  ASSERT_TRUE(spool::make_spool_folder(*ring_, spool_folder, {"campaigns"}));
  io::EventLoop loop(*ring_);
  NoticeBox box(loop, spool_folder, "mta1.news.example", *this);
  uint64_t posted = 0;
  for (const Sample& sample : samples()) {
    const Addressee to = addressee_of({.kind = sample.kind,
                                       .notify = notify_success | notify_failure | notify_delay,
                                       .policy = Notices::sender,
                                       .sender = sample.to,
                                       .recipient = sample.recipients[0].address},
                                      "");
    ASSERT_EQ(to.whom, Whom::sender) << sample.name;
    const auto notices = mail::compose_notices({.kind = sample.kind,
                                                .hostname = "mta1.news.example",
                                                .to = to.address,
                                                .envelope_id = "QQ314159",
                                                .arrival = at(1795238800),
                                                .now = at(1795638900),
                                                .random = ++posted,
                                                .recipients = sample.recipients,
                                                .returned = &sample.returned});
    ASSERT_EQ(notices.size(), 1u) << sample.name;
    std::ofstream(folder + "/" + sample.name + ".eml", std::ios::binary) << notices[0].content;
    std::ofstream(folder + "/" + sample.name + ".json") << expectation(sample, notices[0]);
    box.post({to.address, notices[0]});
  }
  box.flush();
  for (int turns = 0; turns < 5000 && durable_ < posted; ++turns)
    loop.turn(loop.now() + std::chrono::milliseconds(1));
  EXPECT_EQ(durable_, posted);
}

}  // namespace
}  // namespace sluice::engine::notices
