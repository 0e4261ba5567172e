// Holds the code to spool/FORMAT.md section 8, octet for octet.

#include <fmt/format.h>

#include <sstream>

#include "spool/campaign_file.h"
#include "spool/mail_index.h"
#include "spool/outcome_record.h"
#include "tests/unit/spool/letter.h"
#include "tests/unit/spool/spool_test.h"

namespace sluice::spool {
namespace {

/// The octets of the block of FORMAT.md that is marked with `name`: lines of `offset  octets
/// remark`.
std::vector<std::byte> example(const std::string& name) {
  const std::string here = __FILE__;
  const auto document = read_file(here.substr(0, here.rfind("tests/unit/")) + "spool/FORMAT.md");
  std::istringstream lines(text(document));
  std::vector<std::byte> found;
  bool is_inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      is_inside = line == "```" + name;
      continue;
    }
    if (!is_inside) continue;
    std::istringstream words(line);
    std::string offset, word;
    words >> offset;
    EXPECT_EQ(std::stoul(offset, nullptr, 16), found.size()) << line;
    for (int i = 0; i < 16 && words >> word; ++i)
      found.push_back(std::byte(std::stoul(word, nullptr, 16)));
  }
  return found;
}

/// As in FORMAT.md, for whoever changes it.
std::string dump(Bytes bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i % 16 == 0) out += fmt::format("{}{:04x} ", i ? "\n" : "", i);
    out += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[i]));
  }
  return out + "\n";
}

constexpr uint64_t uid = 0xc0ffee0000000001;
io::WallTime at_s(int64_t s) { return io::WallTime(std::chrono::seconds(s)); }

TEST(Format, of_a_segment_is_as_the_document_says) {
  std::vector<std::byte> out;
  SegmentWriter writer(out, Salt::from(0x1122334455667788));
  writer.file_header(FileKind::journal);
  std::vector<Outcome> first{
      {.campaign = uid, .recipient = 5, .attempt = 1, .kind = OutcomeKind::delivered},
      {.campaign = uid,
       .recipient = 7,
       .attempt = 2,
       .next_attempt = at_s(1'700'000'000),
       .refusals = 1,
       .transfers = 1}};
  std::vector<Outcome> second{
      {.campaign = uid, .recipient = 7, .attempt = 3, .kind = OutcomeKind::delivered}};
  encode_commit(writer, 1, first);
  encode_commit(writer, 2, second);
  EXPECT_EQ(out, example("segment")) << dump(out);
}

class FormatTest : public SpoolTest {};

/// Gives the salt that the document's example has.
class GivenSalt final : public io::Proactor {
 public:
  explicit GivenSalt(io::Proactor& real) : real_(real) {}
  void submit(io::Op& op) override { real_.submit(op); }
  void cancel(io::Op& op) override { real_.cancel(op); }
  unsigned wait(io::Instant until, unsigned budget) override { return real_.wait(until, budget); }
  io::Instant now() const override { return real_.now(); }
  io::WallTime wall() const override { return real_.wall(); }
  uint64_t random() override { return 0x0807060504030201; }
  void wake(io::Proactor& from) override { real_.wake(from); }
  unsigned in_flight() const override { return real_.in_flight(); }

 private:
  io::Proactor& real_;
};

TEST_F(FormatTest, of_a_campaign_is_as_the_document_says) {
  GivenSalt proactor(*ring_);
  ASSERT_TRUE(hand_off(proactor, "may",
                       {{"a.example", {"ann@a.example"}}, {"b.example", {"bob@b.example"}}},
                       "Hello", uid));
  const auto out = read_file(spool() + "/campaigns/may");
  EXPECT_EQ(out, example("campaign")) << dump(out);
}

TEST(Format, of_a_summary_is_as_the_document_says) {
  const auto out = encode_head(
      {.salt = Salt::from(0x1817161514131211),
       .info = {.id = "may", .uid = uid, .accepted_at = at_s(1'700'000'000)},
       .summary = CampaignSummary{
           .recipients = 2, .delivered = 1, .failed = 1, .finished_at = at_s(1'700'000'060)}});
  EXPECT_EQ(out, example("summary")) << dump(out);
}

TEST(Format, of_a_mail_segment_is_as_the_document_says) {
  const MailName name{1, 0, uid, Salt::from(0x2827262524232221)};
  std::vector<std::byte> out(file_header_bytes);
  encode_file_header(out, {FileKind::mail, name.salt});
  MailSegment segment(name, "", {});
  const auto commit = [&](const Letter& letter, io::WallTime accepted_at) {
    std::vector<std::byte> records;
    letter.as_new_mail([&](const NewMail& mail) { encode_mail(records, mail, accepted_at); });
    seal_mail(records, name.salt, out.size(), segment.recipients(),
              [&](uint64_t offset, size_t bytes, const Mail& mail) {
                segment.add(offset, static_cast<uint32_t>(bytes), mail);
              });
    out.insert(out.end(), records.begin(), records.end());
    segment.publish(out.size());
  };
  commit({.envelope = "eve@c.example",
          .recipients = {{"a.example", "ann@a.example"}, {"a.example", "amy@a.example"}},
          .content = "Hello\r\n",
          .sender = "c.example"},
         at_s(1'700'000'000));
  commit({.envelope = "", .recipients = {{"b.example", "bob@b.example"}}, .content = "Bye\r\n"},
         at_s(1'700'000'002));
  const auto index = encode_mail_index(segment, name.salt);
  out.insert(out.end(), index.begin(), index.end());
  EXPECT_EQ(out, example("mail")) << dump(out);
  EXPECT_EQ(name.text(), "0000000001-000-c0ffee0000000001-2827262524232221-0");
}

}  // namespace
}  // namespace sluice::spool
