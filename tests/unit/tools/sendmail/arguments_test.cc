#include "tools/sendmail/arguments.h"

#include <gmock/gmock.h>

namespace sluice::tools {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SendmailArguments parsed(std::vector<const char*> words) {
  const auto result = SendmailArguments::parse(words);
  EXPECT_TRUE(result) << (result ? "" : result.error());
  return result.value_or(SendmailArguments{});
}

std::string mistake(std::vector<const char*> words) {
  const auto result = SendmailArguments::parse(words);
  return result ? "(no mistake)" : result.error();
}

TEST(SendmailArguments, options_share_a_dash) {
  const auto arguments = parsed({"-ti", "ann@a.example"});
  EXPECT_TRUE(arguments.reads_recipients && arguments.ignores_dot);
  EXPECT_THAT(arguments.recipients, ElementsAre("ann@a.example"));
}

TEST(SendmailArguments, values_are_attached_or_follow) {
  EXPECT_EQ(parsed({"-fann@a.example"}).sender, "ann@a.example");
  EXPECT_EQ(parsed({"-r", "ann@a.example"}).sender, "ann@a.example");
  EXPECT_EQ(parsed({"-tf", "ann@a.example"}).sender, "ann@a.example");
  EXPECT_EQ(parsed({"-f", ""}).sender, "");
  EXPECT_EQ(parsed({"-F", "Ann Smith"}).name, "Ann Smith");
  EXPECT_EQ(parsed({}).sender, std::nullopt);
}

TEST(SendmailArguments, what_comes_behind_two_dashes_or_a_recipient_is_no_option) {
  EXPECT_THAT(parsed({"-i", "--", "-t"}).recipients, ElementsAre("-t"));
  const auto arguments = parsed({"ann@a.example", "-t"});
  EXPECT_FALSE(arguments.reads_recipients);
  EXPECT_THAT(arguments.recipients, ElementsAre("ann@a.example", "-t"));
}

TEST(SendmailArguments, passes_over_what_means_nothing_here) {
  const auto arguments = parsed(
      {"-B8BITMIME", "-B", "7BIT", "-oem", "-odb",           "-m", "-n", "-v",    "-U",  "-G",
       "-em",        "-L", "tag",  "-O",   "DeliveryMode=b", "-h", "3",  "-d0.1", "-bm", "-oi",
       "x@y.example"});
  EXPECT_TRUE(arguments.ignores_dot);
  EXPECT_FALSE(arguments.reads_recipients);
  EXPECT_EQ(arguments.mode, SendmailArguments::Mode::send);
  EXPECT_THAT(arguments.recipients, ElementsAre("x@y.example"));
}

TEST(SendmailArguments, a_queue_run_has_its_time_with_it) {
  const auto arguments = parsed({"-q30m"});
  EXPECT_EQ(arguments.mode, SendmailArguments::Mode::run_queue);
  EXPECT_EQ(parsed({"-q", "-i"}).ignores_dot, true);
}

TEST(SendmailArguments, reads_what_the_sender_wants_to_hear) {
  const auto arguments = parsed({"-N", "success,failure", "-Rhdrs", "-V", "QQ314159"});
  EXPECT_EQ(arguments.notify, engine::smtp::notify_success | engine::smtp::notify_failure);
  EXPECT_EQ(arguments.returned, engine::smtp::ReturnedContent::headers);
  EXPECT_EQ(arguments.envelope_id, "QQ314159");
  EXPECT_THAT(mistake({"-N", "sometimes"}), HasSubstr("-N sometimes"));
  EXPECT_THAT(mistake({"-Rsome"}), HasSubstr("hdrs or full"));
  EXPECT_THAT(mistake({"-V", "\x01"}), HasSubstr("US-ASCII"));
}

TEST(SendmailArguments, finds_the_configuration) {
  EXPECT_EQ(parsed({"--config", "c.toml"}).config, "c.toml");
  EXPECT_EQ(parsed({"--config=c.toml", "--spool=s"}).spool, "s");
  EXPECT_THAT(mistake({"--spool"}), HasSubstr("no value"));
  EXPECT_THAT(mistake({"--frob"}), HasSubstr("--frob"));
}

TEST(SendmailArguments, says_what_it_does_not_know) {
  EXPECT_THAT(mistake({"-z"}), HasSubstr("-z"));
  EXPECT_THAT(mistake({"-f"}), HasSubstr("-f: no value"));
  EXPECT_THAT(mistake({"-bd"}), HasSubstr("sluice serve"));
  EXPECT_THAT(mistake({"-bp"}), HasSubstr("sluice queue"));
  EXPECT_THAT(mistake({"-bx"}), HasSubstr("-bx"));
  EXPECT_THAT(parsed({"-"}).recipients, ElementsAre("-"));
  EXPECT_THAT(parsed({"-i"}).recipients, IsEmpty());
}

}  // namespace
}  // namespace sluice::tools
