// When a policy is fetched, and which is in force: RFC 8461 sections 3.3 and 5.1.
#include "engine/sts/policy_book.h"

#include <gtest/gtest.h>

#include "engine/sts/policy_folder.h"
#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::sts {
namespace {

using namespace std::chrono_literals;

const io::WallTime start{1'700'000'000s};
const std::string domain = "example.test";

Policy enforced(uint32_t max_age_s) {
  return *parse_policy("version: STSv1\nmode: enforce\nmx: mx.example.test\nmax_age: " +
                       std::to_string(max_age_s) + "\n");
}

/// "in force", a fault, or "none"; what is to be done about it.
std::string asked(PolicyBook& book, std::optional<std::string> id, io::WallTime now) {
  const PolicyBook::Advice advice = book.ask(domain, id, now);
  std::string text = advice.finding.policy                 ? "in force"
                     : advice.finding.fault != Fault::none ? advice.finding.reason
                                                           : "none";
  if (advice.must_fetch) text += ", fetch";
  if (advice.is_stale) text += ", stale";
  return text;
}

TEST(PolicyBook, fetches_what_a_domain_says_that_it_has) {
  PolicyBook book;
  EXPECT_EQ(asked(book, std::nullopt, start), "none");
  EXPECT_EQ(asked(book, "1", start), "none, fetch, stale");
  book.fetched(domain, "1", enforced(3600), start);
  EXPECT_EQ(asked(book, "1", start + 1h - 1s), "in force");
}

TEST(PolicyBook, keeps_a_policy_whatever_DNS_says_until_it_expires) {
  PolicyBook book;
  book.fetched(domain, "1", enforced(3600), start);
  EXPECT_EQ(asked(book, std::nullopt, start + 59min), "in force");
  EXPECT_EQ(asked(book, std::nullopt, start + 1h), "none");
  EXPECT_EQ(asked(book, "1", start + 1h), "none, fetch, stale");
}

TEST(PolicyBook, fetches_anew_when_the_id_changes_and_goes_by_the_older_meanwhile) {
  PolicyBook book;
  book.fetched(domain, "1", enforced(360'000), start);
  EXPECT_EQ(asked(book, "2", start + 1min), "in force, fetch, stale");
  book.failed(domain, "2", {.fault = Fault::fetch, .reason = "broken"}, start + 1min);
  EXPECT_EQ(asked(book, "2", start + 2min), "in force, stale");
  EXPECT_EQ(asked(book, "3", start + 2min), "in force, fetch, stale");
  EXPECT_EQ(asked(book, "2", start + 6min), "in force, fetch, stale");
  book.fetched(domain, "2", enforced(3600), start + 6min);
  EXPECT_EQ(asked(book, "2", start + 7min), "in force");
}

TEST(PolicyBook, does_not_ask_a_server_that_failed_at_once_again) {
  PolicyBook book;
  book.failed(domain, "1", {.fault = Fault::webpki, .reason = "broken"}, start);
  EXPECT_EQ(asked(book, "1", start + 4min), "broken, stale");
  EXPECT_EQ(asked(book, std::nullopt, start + 4min), "none");
  EXPECT_EQ(asked(book, "1", start + 5min), "none, fetch, stale");
}

TEST(PolicyBook, fetches_once_a_day_what_is_in_force_for_long) {
  PolicyBook book;
  book.fetched(domain, "1", enforced(2'000'000), start);
  EXPECT_EQ(asked(book, "1", start + 23h), "in force");
  EXPECT_EQ(asked(book, "1", start + 24h), "in force, fetch");
  book.failed(domain, "1", {.fault = Fault::fetch, .reason = "broken"}, start + 24h);
  EXPECT_EQ(asked(book, "1", start + 24h + 1min), "in force");
}

using PolicyFolderTest = intake::ScratchFolder;

TEST_F(PolicyFolderTest, keeps_policies_over_restarts_until_they_expire) {
  const PolicyFolder folder(folder_);
  const KeptPolicy kept{std::make_shared<const Policy>(enforced(3600)), "id1", start, start + 1h};
  EXPECT_TRUE(folder.load(start).empty());
  ASSERT_TRUE(folder.write(domain, kept));
  ASSERT_TRUE(folder.write(domain, kept)) << "it replaces what is there";
  const auto again = folder.load(start + 59min);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again.at(domain).id, "id1");
  EXPECT_EQ(again.at(domain).fetched, start);
  EXPECT_EQ(again.at(domain).expires, start + 1h);
  EXPECT_EQ(again.at(domain).policy->text, kept.policy->text);
  EXPECT_TRUE(folder.load(start + 1h).empty());
  EXPECT_FALSE(folder.read(domain)) << "it was unlinked";
  EXPECT_FALSE(folder.read("../owner"));
}

TEST_F(PolicyFolderTest, takes_no_file_that_is_cut) {
  const KeptPolicy kept{std::make_shared<const Policy>(enforced(3600)), "id1", start, start + 1h};
  const std::string whole = text_of(kept);
  ASSERT_TRUE(parse_kept(whole));
  // Within the age of the policy it is still one.
  for (size_t size = 0; size + 5 < whole.size(); ++size)
    EXPECT_FALSE(parse_kept(whole.substr(0, size))) << size;
  EXPECT_FALSE(parse_kept("sluice-sts 2" + whole.substr(12)));
}

}  // namespace
}  // namespace sluice::engine::sts
