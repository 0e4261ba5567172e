#include "engine/intake/submission.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "io/uring.h"
#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = SubmissionFailure::Kind;

constexpr std::string_view message =
    "From: a@sender.example\r\nTo: {{email}}\r\nSubject: Hi {{name}}\r\n\r\nHello "
    "{{name}}\r\n.dot\r\n";

class SubmissionTest : public ScratchFolder {
 protected:
  void SetUp() override {
    ScratchFolder::SetUp();
    auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
    ASSERT_TRUE(ring) << ring.error().message;
    ring_ = std::move(*ring);
    write("m.eml", message);
    write("l.csv", "email,name\nbob@b.example,Bob\nAnn@a.example,Ann\nann@A.example,Again\n");
    options_ = {.message = path("m.eml"),
                .recipients = path("l.csv"),
                .from = "bounce+{{name}}@sender.example",
                .campaign = "one",
                .spool = path("spool"),
                .hostname = "mta.example"};
  }
  void TearDown() override {
    ring_.reset();
    ScratchFolder::TearDown();
  }

  std::expected<Receipt, SubmissionFailure> submit() {
    Submission submission(options_, *ring_);
    auto receipt = submission.run();
    previews_ = submission.previews();
    return receipt;
  }
  std::vector<std::string> files(const std::string& in) const {
    std::vector<std::string> names;
    if (!std::filesystem::exists(in)) return names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(in)) {
      if (entry.is_regular_file()) names.push_back(entry.path().filename());
    }
    return names;
  }

  std::unique_ptr<io::Proactor> ring_;
  SubmissionOptions options_;
  std::vector<Preview> previews_;
};

TEST_F(SubmissionTest, counts_each_row_once_and_hands_off_one_file) {
  const auto receipt = submit();
  ASSERT_TRUE(receipt) << receipt.error().lines.front();
  EXPECT_EQ(receipt->campaign, "one");
  EXPECT_EQ(receipt->recipients, 2u);
  EXPECT_EQ(receipt->duplicates, 1u);
  EXPECT_EQ(receipt->destinations_count, 2u);
  EXPECT_THAT(files(options_.spool), ElementsAre("one"));
}

TEST_F(SubmissionTest, same_campaign_again_adds_nothing) {
  ASSERT_TRUE(submit());
  const auto again = submit();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->was_known);
  EXPECT_EQ(again->recipients, 0u);
  EXPECT_THAT(files(options_.spool), ElementsAre("one"));
}

TEST_F(SubmissionTest, made_up_names_differ) {
  options_.campaign.clear();
  const auto first = submit(), second = submit();
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->campaign, second->campaign);
  EXPECT_THAT(first->campaign, testing::MatchesRegex("[0-9]+T[0-9]+-[a-z2-9]+"));
}

TEST_F(SubmissionTest, bad_rows_hand_off_nothing_and_are_all_told) {
  std::string list = "email,name\n";
  for (int i = 0; i < 120; ++i) list += fmt::format("bad{},x\n", i);
  write("l.csv", list);
  const auto receipt = submit();
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().kind, Kind::data);
  ASSERT_EQ(receipt.error().lines.size(), 101u);
  EXPECT_THAT(receipt.error().lines[99], HasSubstr("l.csv:101: "));
  EXPECT_EQ(receipt.error().lines[100], "and 20 more");
  EXPECT_THAT(files(options_.spool), IsEmpty());
}

TEST_F(SubmissionTest, what_interrupts_it_leaves_nothing) {
  std::string list = "email,name\n";
  for (int i = 0; i < 40'000; ++i) list += fmt::format("u{}@d.example,x\n", i);
  list += "bad,row\n";
  write("l.csv", list);
  options_.skip_invalid = true;
  for (const std::string_view moment : {"read", "written"}) {
    Submission submission(options_, *ring_);
    submission.progress = [&](const char* doing, uint64_t) { return doing != moment; };
    const auto receipt = submission.run();
    ASSERT_FALSE(receipt) << moment;
    EXPECT_EQ(receipt.error().kind, Kind::interrupted);
  }
  EXPECT_THAT(files(options_.spool), IsEmpty());
  EXPECT_THAT(files(folder_), testing::UnorderedElementsAre("m.eml", "l.csv"));
}

TEST_F(SubmissionTest, rejected_rows_can_be_mended_and_sent) {
  write("l.csv", "email,reason\nann@a.example,x\nbob,\"y, \"\"z\"\"\"\n");
  write("m.eml", "From: a@sender.example\n\n{{reason}}\n");
  options_.from = "b@sender.example";
  options_.skip_invalid = true;
  const auto receipt = submit();
  ASSERT_TRUE(receipt) << receipt.error().lines.front();
  EXPECT_EQ(receipt->recipients, 1u);
  EXPECT_EQ(receipt->rejected, 1u);
  EXPECT_EQ(receipt->rejected_path, path("l.csv.rejected.csv"));
  const std::string rejected = read("l.csv.rejected.csv");
  EXPECT_EQ(rejected,
            "new_reason,\"email\",\"reason\"\n\"'bob' is not an address: it has no @\",bob,\"y, "
            "\"\"z\"\"\"\n");
  options_.recipients = write(
      "mended.csv", std::string(rejected).replace(rejected.find(",bob"), 4, ",bob@b.example"));
  options_.campaign = "two";
  EXPECT_TRUE(submit());
}

TEST_F(SubmissionTest, rejected_json_lines_are_one_column) {
  options_.recipients =
      write("l.jsonl",
            "{\"email\":\"ann@a.example\",\"name\":\"Ann\"}\n{\"email\":\"x\",\"name\":\"\"}\n");
  options_.skip_invalid = true;
  ASSERT_TRUE(submit());
  EXPECT_EQ(read("l.jsonl.rejected.csv"),
            "reason,row\n\"'x' is not an address: it has no "
            "@\",\"{\"\"email\"\":\"\"x\"\",\"\"name\"\":\"\"\"\"}\"\n");
}

TEST_F(SubmissionTest, preview_shows_the_lists_first_rows_un_stuffed_and_sends_nothing) {
  write("l.csv",
        "email,name\nbob@b.example,Bob\nBOB@b.example,Again\nAnn@a.example,Ann\ncarl@c.example,"
        "Carl\n");
  options_.preview = 2;
  ASSERT_TRUE(submit());
  ASSERT_EQ(previews_.size(), 2u);
  EXPECT_EQ(previews_[0].recipient, "bob@b.example");
  EXPECT_EQ(previews_[0].sender, "bounce+Bob@sender.example");
  EXPECT_THAT(previews_[0].content, HasSubstr("Subject: Hi Bob\r\n"));
  EXPECT_THAT(previews_[0].content, testing::EndsWith("\r\n\r\nHello Bob\r\n.dot\r\n"));
  EXPECT_EQ(previews_[1].recipient, "Ann@a.example");
  EXPECT_FALSE(std::filesystem::exists(options_.spool));
}

TEST_F(SubmissionTest, list_sorted_in_runs_is_the_same_campaign) {
  std::string list = "email,name\n";
  for (int i = 0; i < 30'000; ++i)
    list += fmt::format("u{}@d{}.example,x{}\n", i * 7919 % 29'000, i % 50, i);
  write("l.csv", list);
  const auto in_memory = submit();
  options_.campaign = "two";
  options_.sort_bytes = 512 * 1024;
  const auto in_runs = submit();
  ASSERT_TRUE(in_memory && in_runs);
  EXPECT_EQ(in_runs->recipients, in_memory->recipients);
  EXPECT_EQ(in_runs->duplicates, in_memory->duplicates);
  EXPECT_EQ(in_runs->destinations, in_memory->destinations);
  EXPECT_EQ(in_runs->bytes, in_memory->bytes);
}

TEST_F(SubmissionTest, largest_destinations_come_first) {
  write("l.csv", "email,name\na@x.example,\na@y.example,\nb@y.example,\nb@z.example,\n");
  const auto receipt = submit();
  ASSERT_TRUE(receipt);
  using Destination = std::pair<std::string, uint64_t>;
  EXPECT_THAT(receipt->destinations,
              ElementsAre(Destination{"y.example", 2}, Destination{"x.example", 1},
                          Destination{"z.example", 1}));
}

TEST_F(SubmissionTest, message_and_list_may_be_at_hand) {
  options_.message = "the message";
  options_.at_hand = "From: a@sender.example\n\nHello {{nmae}}\n";
  Submission submission(options_, *ring_);
  auto list = RecipientList::read(
      ListFile::holding("{\"email\": \"ann@a.example\", \"name\": \"Ann\"}\n"), "to");
  ASSERT_TRUE(list);
  submission.set_list(*std::move(list));
  const auto receipt = submission.run();
  ASSERT_FALSE(receipt);
  EXPECT_THAT(receipt.error().lines, ElementsAre(HasSubstr("the message:3: tag {{nmae}}")));
}

TEST_F(SubmissionTest, a_literal_message_is_no_template) {
  write("plain.csv", "email\nann@a.example\n");
  options_.recipients = path("plain.csv");
  options_.from = "{{b}}@sender.example";
  options_.at_hand = "From: a@sender.example\r\n\r\n{{#x}} {{ann}}\r\n";
  options_.is_literal = true;
  options_.preview = 1;
  ASSERT_TRUE(submit());
  ASSERT_EQ(previews_.size(), 1u);
  EXPECT_EQ(previews_[0].content, "From: a@sender.example\r\n\r\n{{#x}} {{ann}}\r\n");
  EXPECT_EQ(previews_[0].sender, "{{b}}@sender.example");
}

TEST_F(SubmissionTest, a_literal_message_takes_no_merge_fields) {
  options_.is_literal = true;
  const auto receipt = submit();
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().kind, Kind::data);
  EXPECT_THAT(receipt.error().lines, ElementsAre(HasSubstr("takes no merge fields")));
  EXPECT_THAT(files(options_.spool), IsEmpty());
}

TEST_F(SubmissionTest, tells_who_has_which_number_before_the_hand_off) {
  Submission submission(options_, *ring_);
  std::vector<std::string> told;
  submission.numbered = [&](uint64_t uid, uint32_t number, std::string_view address) {
    EXPECT_NE(uid, 0u);
    told.push_back(fmt::format("{} {}", number, address));
    return true;
  };
  submission.all_numbered = [&](const Receipt& receipt) {
    told.push_back(fmt::format("all {}", receipt.recipients));
    EXPECT_THAT(files(options_.spool), testing::Not(testing::Contains("one")));
    return true;
  };
  ASSERT_TRUE(submission.run());
  EXPECT_THAT(told, ElementsAre("0 Ann@a.example", "1 bob@b.example", "all 2"));
}

TEST_F(SubmissionTest, hands_nothing_off_when_its_numbers_are_not_taken) {
  for (const bool is_last : {false, true}) {
    Submission submission(options_, *ring_);
    submission.numbered = [&](uint64_t, uint32_t, std::string_view) { return is_last; };
    submission.all_numbered = [](const Receipt&) { return false; };
    const auto receipt = submission.run();
    ASSERT_FALSE(receipt);
    EXPECT_EQ(receipt.error().kind, Kind::interrupted);
  }
  EXPECT_THAT(files(options_.spool), IsEmpty());
}

}  // namespace
}  // namespace sluice::engine::intake
